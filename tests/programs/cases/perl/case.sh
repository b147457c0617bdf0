# Perl works on hashes, strings, regular expressions, threads and forks.
# needs: perl:/usr/bin/perl
# preloaded: perl
# limit: 60

prepare() { :; }

program() {
    perl -w "$CASE/work.pl"
}
