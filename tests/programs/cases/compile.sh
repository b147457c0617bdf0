# What the cases gcc and clang share: the files they compile. Sourced by their case.sh.

# A large C file: tables, structures, switches, and calls among 1200 functions.
large_c_file() {
    awk 'BEGIN {
        print "#include <stdint.h>\n#include <stdio.h>\n"
        for (n = 0; n < 1200; n++) {
            printf "struct record%d { uint32_t key, value[%d]; const char *name; };\n", n, n % 13 + 1
            printf "static const uint32_t table%d[] = {", n
            for (i = 0; i < 24; i++)
                printf "%du, ", (n * 2654435761 + i * 40503) % 4294967296
            print "};"
            printf "uint32_t function%d(uint32_t x) {\n", n
            printf "    struct record%d record = {.key = x, .name = \"record %d\"};\n", n, n
            print  "    for (uint32_t i = 0; i < 24; i++) {"
            printf "        record.value[i %% %d] += table%d[i] ^ x;\n", n % 13 + 1, n
            printf "        switch ((x + i) %% 5) {\n"
            printf "        case 0: x += record.value[0]; break;\n"
            printf "        case 1: x ^= record.key * %du; break;\n", n
            printf "        case 3: x = x << 3 | x >> 29; break;\n"
            printf "        default: x -= i; break;\n        }\n    }\n"
            if (n > 0)
                printf "    return x %% 7 == 0 ? function%d(x) : x + (uint32_t)record.name[0];\n}\n", n - 1
            else
                print  "    return x;\n}"
        }
        print "int main(void) {\n    printf(\"%u\\n\", function1199(12345));\n    return 0;\n}"
    }'
}

# A C++ file that makes the compiler instantiate much of the standard library.
template_file() {
    cat <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <tuple>
#include <vector>

template <int n> struct Tower {
    std::tuple<std::vector<std::string>, std::map<int, Tower<n - 1>>> floors;
    int height() const { return 1 + (std::get<1>(floors).empty() ? n : 0); }
};
template <> struct Tower<0> {};

int main() {
    const std::regex words("([a-z]+)-([0-9]+)");
    std::smatch match;
    const std::string text = "see volume-42 and page-7";
    std::map<std::string, std::function<int(int)>> actions{
        {"volume", [](int x) { return x * 2; }}, {"page", [](int x) { return x + 1; }}};
    for (auto it = text.begin(); std::regex_search(it, text.end(), match, words);
         it = match.suffix().first)
        std::cout << actions[match[1]](std::stoi(match[2])) << "\n";
    std::cout << Tower<40>().height() << "\n";
}
END
}

prepare() {
    large_c_file >large.c
    template_file >templates.cc
}

# compile_all CC CXX: objects, programs and what the programs print.
compile_all() {
    "$1" -std=gnu11 -Wall -Wextra -O1 -g -c large.c
    "$1" -o large large.o
    "$2" -std=c++17 -Wall -Wextra -O2 -g -c templates.cc
    "$2" -o templates templates.o
    sha256sum large.o large templates.o templates
    ./large
    ./templates
}
