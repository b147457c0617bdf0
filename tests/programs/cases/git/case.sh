# Git imports a synthetic history, clones it and this repository, repacks, searches and checks.
# needs: git:/usr/bin/git
# preloaded: git
# limit: 60

commits() {
    awk 'BEGIN {
        for (n = 1; n <= 2000; n++) {
            printf "commit refs/heads/main\n"
            printf "committer Author <author@example.org> %d +0000\n", 1500000000 + n * 3600
            message = "Change number " n
            printf "data %d\n%s\n", length(message), message
            for (file = n % 7; file < 40; file += 7) {
                text = ""
                for (line = 0; line < 40; line++)
                    text = text "line " line " of file " file " as of " n - (n + line) % 40 "\n"
                printf "M 100644 inline folder%d/file%d\n", file % 5, file
                printf "data %d\n%s\n", length(text), text
            }
        }
        print "done"
    }'
}

# The project's own history is cloned here, once, so that both runs see the same commits. A
# release has none; the synthetic history is always there.
prepare() {
    git config --global safe.directory '*'
    git config --global init.defaultBranch main
    git config --global advice.detachedHead false
    git config --global gc.auto 0
    git config --global pack.threads 2
    commits >history
    git init -q --bare valloc.git
    if git -C "$SOURCE" rev-parse -q --verify HEAD >/dev/null; then
        git -C valloc.git fetch -q "$SOURCE" HEAD:refs/heads/main
    else
        rm -rf valloc.git
    fi
}

# Pack files are not compared: with two threads, which delta is found depends on which thread was
# first. The objects in them are.
examine() {
    git -C "$1" fsck --full --strict
    git -C "$1" cat-file --batch-check='%(objectname) %(objecttype) %(objectsize)' \
        --batch-all-objects | sha256sum
    git -C "$1" log --stat -M --format=fuller | sha256sum
    git -C "$1" log --oneline -3
}

program() {
    git init -q --bare origin.git
    git -C origin.git fast-import --quiet --done <history
    examine origin.git

    git clone -q --no-local origin.git clone
    git -C clone gc -q --aggressive --prune=now
    examine clone
    git -C clone log -p -200 | sha256sum
    git -C clone blame folder0/file5 | sha256sum
    git -C clone grep -c 'as of 19[0-9][05]'
    git -C clone checkout -q HEAD~1000
    git -C clone status --short --branch

    if [[ -d valloc.git ]]; then
        git clone -q --no-local valloc.git own
        git -C own gc -q --prune=now
        examine own
    fi
}
