# A bash pipeline of 1000 processes that are all alive at once.
# needs: bash:/bin/bash coreutils:/usr/bin/tr sed:/bin/sed
# preloaded: bash cat sed seq sha256sum tr
# limit: 60

prepare() { :; }

# The first process holds its lines back until the last one is there: all 1000 live together.
program() {
    local stages='' i
    for ((i = 0; i < 333; i++)); do
        stages+="| tr a-zA-Z n-za-mN-ZA-M | sed -e 's/.*/&/' | cat "
    done
    mkfifo gate
    eval "{ read -r <gate; seq -f 'line number %g' 20000; } $stages" \
        '| { echo open >gate; cat; }' >through
    wc -l <through
    head -n 3 through
    sha256sum through

    # Substitutions, arrays and associative arrays keep bash's own heap busy.
    local -A count=()
    local word
    for word in $(seq -f 'key%g' 20000); do
        count[${word:0:5}]=$((${count[${word:0:5}]:-0} + 1))
    done
    for word in $(printf '%s\n' "${!count[@]}" | sort); do
        echo "$word ${count[$word]}"
    done
}
