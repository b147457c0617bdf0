# Exercises the parts of perl that lean on malloc; prints only what is the same in every run.
use strict;
use warnings;
use threads;
use Digest::SHA qw(sha256_hex);

sub words {
    my ($seed, $count) = @_;
    my @words;
    for (1 .. $count) {
        $seed = ($seed * 1103515245 + 12345) % 2147483648;
        push @words, 'w' . ($seed >> 12);
    }
    return @words;
}

sub count_words {
    my %count;
    $count{$_}++ for words(@_);
    my @lines = map { "$_ $count{$_}" } sort keys %count;
    return scalar(@lines) . ' ' . sha256_hex(join "\n", @lines);
}

sub nested_data {
    my @rows = map { { id => $_, tags => [ words($_, 5) ], note => 'x' x ($_ % 300) } } 1 .. 20000;
    my @chosen = grep { $_->{tags}[0] =~ /7.*7/ } @rows;
    @rows = ();
    return scalar(@chosen) . ' ' . sha256_hex(join ',', map { "$_->{id}:@{$_->{tags}}" } @chosen);
}

sub growing_text {
    my $text = '';
    $text .= join(' ', words($_, 20)) . "\n" for 1 .. 10000;
    (my $swapped = $text) =~ s/w(\d+)(\d)/$2w$1/g;
    my $numbers = () = $swapped =~ /\b\dw\d+77\b/g;
    return length($swapped) . " $numbers " . sha256_hex($swapped);
}

# A new perl thread is a clone of the whole interpreter: everything is allocated again there.
sub in_threads {
    my @ballast = words(1, 50000);
    my @threads = map { my $n = $_; threads->create(sub { count_words($n, 20000) }) } 1 .. 8;
    return join "\n", map { $_->join } @threads;
}

sub in_children {
    my @results;
    for my $n (1 .. 20) {
        my $pid = open(my $pipe, '-|') // die "fork: $!";
        if ($pid == 0) {
            print count_words($n, 5000);
            exit 0;
        }
        push @results, <$pipe>;
        close $pipe or die "child: $?";
    }
    return join "\n", @results;
}

$| = 1;
print 'words: ',    count_words(42, 300000), "\n";
print 'nested: ',   nested_data(),           "\n";
print 'text: ',     growing_text(),          "\n";
print "threads:\n", in_threads(),            "\n";
print "children:\n", in_children(),          "\n";
