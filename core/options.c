#include "core/options.h"

#include "core/sections.h"

#define MB(n)      ((int64_t)(n) << 20)
#define TB(n)      ((int64_t)(n) << 40)
#define SECONDS(n) (INT64_C(1000) * (n))
#define DAYS(n)    SECONDS(INT64_C(24) * 60 * 60 * (n))

#define BOOL_WORDS "0|1|no|yes|off|on|false|true"

/* The table: name, field, type, default, min, max, words, help. */
/* clang-format off */
#define OPTIONS(o)                                                                                \
    o(HELP, help, BOOL, false, 0, 1, BOOL_WORDS,                                                  \
      "list these variables on standard error at start, with the values in force")                \
    o(VERBOSE, verbose, BOOL, false, 0, 1, BOOL_WORDS,                                            \
      "say at start which settings are in force")                                                 \
    o(STATS, stats_mode, WORD, VL_STATS_OFF, 0, 2, "0|1|json",                                    \
      "print statistics on standard error at exit; 1: one screen for people, json: for programs") \
    o(STATS_PID, stats_pid, UNSIGNED, 0, 0, 1 << 22, "",                                          \
      "process that prints statistics; 0: every one")                                             \
    o(HUGEPAGE, hugepage_mode, WORD, VL_HUGEPAGE_AUTO, 0, 5,                                       \
      "auto|never|thp|always|hugetlb|hugetlb:1G",                                                 \
      "huge pages; thp: from VALLOC_HUGEPAGE_START on, auto: unless slow, always: all, "           \
      "hugetlb: of the kernel's pool, :1G: of 1 GB too")                                           \
    o(HUGEPAGE_START, huge_start_bytes, SIZE, MB(8), 0, TB(64), "",                              \
      "size of a node's heap, or of big blocks at a place, from which new memory has huge pages") \
    o(HUGEPAGE_RESERVE, reserve, AMOUNTS, 0, 0, TB(64), "",                                         \
      "memory fetched once the heap passes VALLOC_HUGEPAGE_START, in all (8G) or for each node " \
      "(0:4G,1:4G)")                                                                              \
    o(RESERVE_TIME, reserve_time_ms, TIME, SECONDS(30), 0, DAYS(1), "",                           \
      "how long that may take; what has not come until then is done without")                     \
    o(PURGE_DELAY, purge_delay_ms, TIME, SECONDS(10), 0, DAYS(365), "-1",                         \
      "how long free memory is kept before the system gets it back; 0: not at all, -1: for ever") \
    o(PURGE_THREAD, purge_thread, BOOL, false, 0, 1, BOOL_WORDS,                                  \
      "a thread of valloc's own sees to that while the program is idle")                          \
    o(THREAD_CACHE, thread_cache_bytes, SIZE, MB(1), 0, TB(1), "",                                \
      "bytes of free objects that a thread may keep for itself")                                  \
    o(LARGE_CACHE, large_cache_bytes, SIZE, VL_SIZE_AUTO, 0, TB(64), "auto",                      \
      "bytes of freed big blocks kept for reuse, at each place (valloc_onnode(3)); auto: up to the " \
      "peak there, at least 16M")                                                                    \
    o(LIMIT_SOFT, limit_soft, LIMIT, VL_LIMIT_NONE, MB(1), TB(64), "none",                        \
      "memory of the heaps above which all that is free goes back at once")                       \
    o(LIMIT_HARD, limit_hard, LIMIT, VL_LIMIT_NONE, MB(1), TB(64), "none",                        \
      "memory of the heaps above which there is no more: malloc returns NULL")                    \
    o(NUMA, numa_mode, WORD, VL_NUMA_AUTO, 0, 1, "auto|off",                                      \
      "heaps; auto: one for each NUMA node, memory near the thread that asks for it, off: one")   \
    o(LARGE_POLICY, large_policy, WORD, VL_LARGE_FIRST_TOUCH, 0, 3,                               \
      "firsttouch|local|interleave|weighted",                                                     \
      "nodes of blocks from 1M on, unless numactl has chosen; local: of who asks, weighted: interleaved " \
      "by the kernel's weights")                                                                  \
    o(TIER, tier, TIERS, 0, MB(1), TB(64), "none",                                                \
      "nodes without processors, fast (hbm) or slow (cxl), for blocks of such a size and more; see " \
      "valloc(7)")                                                                                \
    o(BIND_THREADS, bind_mode, WORD, VL_BIND_NONE, 0, 2, "none|spread|compact",                   \
      "binds each thread to the CPUs of a node, when it first allocates; spread: nodes in turn, "  \
      "compact: one after the other")                                                             \
    o(VA_RESERVE, va_reserve_bytes, SIZE, VL_SIZE_AUTO, MB(64), TB(64), "auto",                   \
      "address space reserved for each node; auto: by the size of its memory")                    \
    o(FILL, fill_mode, WORD, VL_FILL_NONE, 0, 2, "none|junk|zero",                                \
      "what new blocks are filled with; junk: a pattern that shows use before initialisation")    \
    o(COUNT, count, BOOL, false, 0, 1, BOOL_WORDS,                                                \
      "count every call, for valloc_get_stat(3); slower, and on by itself in a program that calls " \
      "get_stat()")
/* clang-format on */

#define COUNT(...) +1
enum { OPTION_COUNT = 0 OPTIONS(COUNT) };
_Static_assert(OPTION_COUNT <= 32, "vl_options.given has a bit for each row");
_Static_assert(sizeof(size_t) == sizeof(int64_t), "a size is stored through int64_t");

/* A string that fills its array to the last byte would lose its end without a word. */
#define FITS(name, field, type, initial, min, max, words, help)                         \
    _Static_assert(sizeof #name <= VL_OPTION_NAME_SIZE, "long name: " #name);           \
    _Static_assert(sizeof words <= VL_OPTION_WORDS_SIZE, "long list of words: " #name); \
    _Static_assert(sizeof help <= VL_OPTION_HELP_SIZE, "long help: " #name);
OPTIONS(FITS)

#define DEFAULT(name, field, type, initial, ...) .field = (initial),
struct vl_options vl_options = {OPTIONS(DEFAULT)};

#define ROW(name_, field, type_, initial_, min_, max_, words_, help_) \
    {                                                                 \
        .name = #name_,                                               \
        .words = words_,                                              \
        .help = help_,                                                \
        .type = VL_OPTION_##type_,                                    \
        .width = sizeof((struct vl_options *)0)->field,               \
        .offset = offsetof(struct vl_options, field),                 \
        .initial = (int64_t)(initial_),                               \
        .min = (min_),                                                \
        .max = (max_),                                                \
    },
const struct vl_option vl_option_table[] = {OPTIONS(ROW)};
const unsigned vl_option_count = OPTION_COUNT;

/* ---- values in struct vl_options ---- */

int64_t vl_option_get(const struct vl_option *option, const struct vl_options *options)
{
    const char *field = (const char *)options + option->offset;
    switch (option->width) {
    case sizeof(bool):
        return *(const bool *)field;
    case sizeof(unsigned):
        return *(const unsigned *)field;
    default:
        return *(const int64_t *)field;
    }
}

static void set(const struct vl_option *option, struct vl_options *options, int64_t value)
{
    char *field = (char *)options + option->offset;
    switch (option->width) {
    case sizeof(bool):
        *(bool *)field = value != 0;
        break;
    case sizeof(unsigned):
        *(unsigned *)field = (unsigned)value;
        break;
    default:
        *(int64_t *)field = value;
    }
}

/* ---- text to value ---- */

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* The characters of `string` before its end or its first `end`. */
static size_t length_before(const char *string, char end)
{
    size_t length = 0;
    while (string[length] != '\0' && string[length] != end)
        length++;
    return length;
}

/* Whether `string` is the first `length` characters of `other`, no more and no less. */
static bool equals(const char *string, const char *other, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (string[i] != other[i]) /* stops at the end of `string` too */
            return false;
    return string[length] == '\0';
}

/* The word that follows in a list "auto|never|thp". */
static const char *next_word(const char *word)
{
    word += length_before(word, '|');
    return *word == '|' ? word + 1 : word;
}

/* The index of `string` in a list of words; -1 where it is not in it. */
static int word_index(const char *words, const char *string)
{
    int index = 0;
    for (const char *word = words; *word != '\0'; word = next_word(word), index++)
        if (equals(string, word, length_before(word, '|')))
            return index;
    return -1;
}

/* Reads decimal digits. Returns what follows; NULL if there are none, or too many for 64 bits. */
static const char *read_number(const char *string, uint64_t *number)
{
    const char *at = string;
    for (*number = 0; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
            return NULL;
    return at == string ? NULL : at;
}

/* Each 1024 times the one before, the first 1024 bytes. */
static const char size_units[] = "KMGT";

/* What a number with this suffix is multiplied by; 0 where the type has no such suffix. */
static uint64_t unit_of(enum vl_option_type type, const char *suffix)
{
    if (*suffix == '\0')
        return 1;
    if (type == VL_OPTION_TIME)
        return equals(suffix, "ms", 2) ? 1 : equals(suffix, "s", 1) ? 1000 : 0;
    if ((type == VL_OPTION_SIZE || type == VL_OPTION_LIMIT) && suffix[1] == '\0')
        for (unsigned i = 0; size_units[i] != '\0'; i++)
            if (upper(*suffix) == size_units[i])
                return UINT64_C(1024) << (10 * i);
    return 0;
}

/* What follows a size; NULL if there is none that is at most `max`. */
static const char *read_size(const char *string, uint64_t *bytes, uint64_t max)
{
    const char *at = read_number(string, bytes);
    for (unsigned i = 0; at != NULL && size_units[i] != '\0'; i++)
        if (upper(*at) == size_units[i])
            return *bytes <= max >> (10 * (i + 1)) ? (*bytes <<= 10 * (i + 1), at + 1) : NULL;
    return at != NULL && *bytes <= max ? at : NULL;
}

bool vl_amounts_read(const char *string, vl_amount_fn *amount, void *argument)
{
    uint64_t node, bytes;
    const char *at = read_number(string, &node);
    if (at == NULL || *at != ':') {
        at = read_size(string, &bytes, (uint64_t)TB(64));
        if (at == NULL || *at != '\0')
            return false;
        amount(-1, bytes, argument);
        return true;
    }
    for (at = string;; at++) {
        at = read_number(at, &node);
        if (at == NULL || *at != ':' || node > INT32_MAX)
            return false;
        at = read_size(at + 1, &bytes, (uint64_t)TB(64));
        if (at == NULL || (*at != '\0' && *at != ','))
            return false;
        amount((int)node, bytes, argument);
        if (*at == '\0')
            return true;
    }
}

static const char tier_prefixes[VL_TIERS][8] = {"hbm:>=", "cxl:>="};

/* What follows a tier's prefix; NULL if the text begins with none. */
static const char *read_tier(const char *string, enum vl_tier *tier)
{
    for (*tier = VL_TIER_HBM; *tier < VL_TIERS; ++*tier) {
        size_t length = 0;
        while (tier_prefixes[*tier][length] != '\0' &&
               tier_prefixes[*tier][length] == string[length])
            length++;
        if (tier_prefixes[*tier][length] == '\0')
            return string + length;
    }
    return NULL;
}

bool vl_tiers_read(const char *string, vl_tier_fn *found, void *argument)
{
    unsigned seen = 0;
    for (const char *at = string;; at++) {
        enum vl_tier tier;
        uint64_t bytes;
        at = read_tier(at, &tier);
        if (at == NULL || (seen >> tier & 1) != 0)
            return false;
        seen |= 1u << tier;
        at = read_size(at, &bytes, (uint64_t)TB(64));
        if (at == NULL || bytes < (uint64_t)MB(1) || (*at != '\0' && *at != ','))
            return false;
        found(tier, bytes, argument);
        if (*at == '\0')
            return true;
    }
}

static void note_tier(enum vl_tier tier, uint64_t bytes, void *unused)
{
    (void)tier, (void)bytes, (void)unused;
}

static bool parse_tiers(const char *string, bool none, int64_t *value)
{
    if (!none && !vl_tiers_read(string, note_tier, NULL))
        return false;
    *value = none ? 0 : (int64_t)(intptr_t)string;
    return true;
}

static void note_amount(int node, uint64_t bytes, void *any)
{
    (void)node;
    *(uint64_t *)any |= bytes;
}

/* Text by which nothing is wanted is no text. */
static bool parse_amounts(const char *string, int64_t *value)
{
    uint64_t any = 0;
    if (!vl_amounts_read(string, note_amount, &any))
        return false;
    *value = any == 0 ? 0 : (int64_t)(intptr_t)string;
    return true;
}

/* "90%cgroup" */
static bool parse_share(const char *string, int64_t *value)
{
    uint64_t percent;
    const char *suffix = read_number(string, &percent);
    if (suffix == NULL || !equals(suffix, "%cgroup", sizeof "%cgroup" - 1) || percent < 1 ||
        percent > 100)
        return false;
    *value = VL_LIMIT_NONE - (int64_t)percent;
    return true;
}

static bool parse_quantity(const struct vl_option *option, const char *string, int64_t *value)
{
    uint64_t number, unit;
    const char *suffix = read_number(string, &number);
    if (suffix == NULL || (unit = unit_of(option->type, suffix)) == 0)
        return false;
    if (__builtin_mul_overflow(number, unit, &number))
        return false;
    if (number < (uint64_t)option->min || number > (uint64_t)option->max)
        return false;
    *value = (int64_t)number;
    return true;
}

bool vl_option_parse(const struct vl_option *option, const char *string, int64_t *value)
{
    int word = word_index(option->words, string);
    switch ((enum vl_option_type)option->type) {
    case VL_OPTION_BOOL:
        if (word >= 0)
            *value = word & 1; /* no and yes alternate */
        return word >= 0;
    case VL_OPTION_WORD:
        if (word >= 0)
            *value = word;
        return word >= 0;
    case VL_OPTION_AMOUNTS:
        return parse_amounts(string, value);
    case VL_OPTION_TIERS:
        return parse_tiers(string, word >= 0, value);
    default:
        if (word < 0)
            return parse_quantity(option, string, value) ||
                   (option->type == VL_OPTION_LIMIT && parse_share(string, value));
        *value = -1;
        return true;
    }
}

/* ---- value to text ---- */

static void put_word(struct vl_text *text, const char *words, int64_t index)
{
    while (index-- > 0)
        words = next_word(words);
    for (size_t length = length_before(words, '|'); length > 0; length--)
        vl_text_char(text, *words++);
}

static void put_size(struct vl_text *text, uint64_t bytes)
{
    unsigned unit = 0;
    for (; bytes != 0 && bytes % 1024 == 0 && size_units[unit] != '\0'; unit++)
        bytes /= 1024;
    vl_text_u64(text, bytes);
    if (unit > 0)
        vl_text_char(text, size_units[unit - 1]);
}

static void put_share(struct vl_text *text, unsigned percent)
{
    vl_text_u64(text, percent);
    vl_text_str(text, "%cgroup");
}

static void put_time(struct vl_text *text, uint64_t ms)
{
    bool whole_seconds = ms % 1000 == 0;
    vl_text_u64(text, whole_seconds ? ms / 1000 : ms);
    if (ms != 0)
        vl_text_str(text, whole_seconds ? "s" : "ms");
}

void vl_option_print(const struct vl_option *option, int64_t value, struct vl_text *text)
{
    if (option->type == VL_OPTION_BOOL || option->type == VL_OPTION_WORD)
        put_word(text, option->words, value);
    else if (option->type == VL_OPTION_AMOUNTS)
        vl_text_str(text, value == 0 ? "0" : (const char *)(intptr_t)value);
    else if (option->type == VL_OPTION_TIERS)
        vl_text_str(text, value == 0 ? option->words : (const char *)(intptr_t)value);
    else if (option->type == VL_OPTION_LIMIT && vl_limit_percent(value) != 0)
        put_share(text, vl_limit_percent(value));
    else if (value < 0)
        put_word(text, option->words, 0);
    else if (option->type == VL_OPTION_SIZE || option->type == VL_OPTION_LIMIT)
        put_size(text, (uint64_t)value);
    else if (option->type == VL_OPTION_TIME)
        put_time(text, (uint64_t)value);
    else
        vl_text_u64(text, (uint64_t)value);
}

static void put_range(struct vl_text *text, const struct vl_option *option)
{
    vl_text_str(text, " from ");
    vl_option_print(option, option->min, text);
    vl_text_str(text, " to ");
    vl_option_print(option, option->max, text);
}

/* What the option takes, to follow "is" or "is not". */
static void put_kind(struct vl_text *text, const struct vl_option *option)
{
    switch ((enum vl_option_type)option->type) {
    case VL_OPTION_BOOL:
        vl_text_str(text, "0 or 1");
        break;
    case VL_OPTION_WORD:
        vl_text_str(text, "one of ");
        vl_text_str(text, option->words);
        break;
    case VL_OPTION_UNSIGNED:
    case VL_OPTION_SIZE:
        vl_text_str(text, option->words);
        vl_text_str(text, option->words[0] != '\0' ? " or " : "");
        vl_text_str(text, option->type == VL_OPTION_SIZE ? "a size" : "a number");
        put_range(text, option);
        break;
    case VL_OPTION_LIMIT:
        vl_text_str(text, option->words);
        vl_text_str(text, ", a size, or a share of the cgroup's memory (90%cgroup)");
        break;
    case VL_OPTION_AMOUNTS:
        vl_text_str(text, "a size, or sizes for nodes (0:4G,1:4G)");
        break;
    case VL_OPTION_TIERS:
        vl_text_str(text, option->words);
        vl_text_str(text, ", or hbm, cxl with sizes from 1M on (hbm:>=64M,cxl:>=1G)");
        break;
    case VL_OPTION_TIME:
        vl_text_str(text, "a time (for example 500ms, 10s");
        vl_text_str(text, option->words[0] != '\0' ? " or " : "");
        vl_text_str(text, option->words);
        vl_text_char(text, ')');
        break;
    }
}

/* ---- the environment ---- */

static const char prefix[] = "VALLOC_";
enum { PREFIX_LENGTH = sizeof prefix - 1 };

/* One entry of the environment taken apart: VALLOC_<name>=<value>. */
struct entry {
    const char *name;
    size_t name_length;
    const char *value;
};

/* False if the entry is not ours. */
static bool take_apart(const char *string, struct entry *entry)
{
    for (unsigned i = 0; i < PREFIX_LENGTH; i++)
        if (string[i] != prefix[i])
            return false;
    entry->name = string + PREFIX_LENGTH;
    entry->name_length = length_before(entry->name, '=');
    entry->value = entry->name + entry->name_length + 1;
    return entry->name[entry->name_length] == '=';
}

static const struct vl_option *find_option(const struct entry *entry)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (equals(vl_option_table[i].name, entry->name, entry->name_length))
            return &vl_option_table[i];
    return NULL;
}

/* VALLOC_LIBRARY is for valloc-run, which finds the library by it; to the library it is nothing. */
static bool is_for_the_tool(const struct entry *entry)
{
    return equals("LIBRARY", entry->name, entry->name_length);
}

static void reject(struct vl_options *options, const char *string)
{
    if (options->rejected_count < VL_OPTIONS_REJECTED_MAX)
        options->rejected[options->rejected_count] = string;
    options->rejected_count++;
}

static void set_defaults(struct vl_options *options)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        set(&vl_option_table[i], options, vl_option_table[i].initial);
    options->given = 0;
    options->rejected_count = 0;
}

/* `seen`: the rows whose name has come up already. */
static void load_entry(struct vl_options *options, const char *string, uint32_t *seen)
{
    struct entry entry;
    if (!take_apart(string, &entry) || is_for_the_tool(&entry))
        return;
    const struct vl_option *option = find_option(&entry);
    if (option == NULL) {
        reject(options, string);
        return;
    }
    uint32_t bit = UINT32_C(1) << (option - vl_option_table);
    bool again = *seen & bit;
    *seen |= bit;
    if (again || *entry.value == '\0')
        return;
    int64_t value;
    if (vl_option_parse(option, entry.value, &value)) {
        set(option, options, value);
        options->given |= bit;
    } else {
        reject(options, string);
    }
}

void vl_options_load(struct vl_options *options, char *const *environment, bool secure)
{
    uint32_t seen = 0;
    set_defaults(options);
    if (environment == NULL || secure)
        return;
    for (; *environment != NULL; environment++)
        load_entry(options, *environment, &seen);
}

/* ---- the report ---- */

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * What it takes to make `name` of what was typed, whatever the case: 1 to add a letter, 2 to change
 * or delete one. So a name cut short is nearest to itself: PURGE to PURGE_DELAY, not to HUGEPAGE.
 * row[j] is the distance of what was read so far from the first j letters of `name` (Levenshtein).
 */
static unsigned edit_distance(const struct entry *typed, const char *name)
{
    enum { ADD = 1, CHANGE = 2, DELETE = 2 };
    unsigned row[VL_OPTION_NAME_SIZE];
    unsigned name_length = (unsigned)length_before(name, '\0');
    for (unsigned j = 0; j <= name_length; j++)
        row[j] = j * ADD;
    for (unsigned i = 0; i < typed->name_length; i++) {
        unsigned diagonal = row[0];
        row[0] += DELETE;
        for (unsigned j = 0; j < name_length; j++) {
            unsigned changed = diagonal + (upper(typed->name[i]) == name[j] ? 0 : CHANGE);
            diagonal = row[j + 1];
            row[j + 1] = min(changed, min(diagonal + DELETE, row[j] + ADD));
        }
    }
    return row[name_length];
}

/* The option that was meant; NULL if none has enough in common with what was typed. */
static const struct vl_option *nearest_option(const struct entry *typed)
{
    const struct vl_option *nearest = NULL;
    unsigned distance_min = UINT32_MAX;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct vl_option *option = &vl_option_table[i];
        unsigned distance = edit_distance(typed, option->name);
        if (distance < distance_min && 4 * distance <= 3 * length_before(option->name, '\0')) {
            nearest = option;
            distance_min = distance;
        }
    }
    return nearest;
}

static void put_name(struct vl_text *text, const char *name)
{
    vl_text_str(text, prefix);
    vl_text_str(text, name);
}

/* Text from outside, which may be long, or hold control characters that upset a terminal. */
static void put_foreign(struct vl_text *text, const char *string, size_t length)
{
    enum { SHOWN_MAX = 40 };
    for (size_t i = 0; i < length && i < SHOWN_MAX; i++)
        vl_text_char(text, string[i] >= ' ' && string[i] <= '~' ? string[i] : '?');
    if (length > SHOWN_MAX)
        vl_text_str(text, "...");
}

static void put_unknown(struct vl_text *text, const struct entry *entry)
{
    const struct vl_option *nearest = nearest_option(entry);
    vl_text_str(text, "unknown variable VALLOC_");
    put_foreign(text, entry->name, entry->name_length);
    if (nearest != NULL) {
        vl_text_str(text, ", did you mean ");
        put_name(text, nearest->name);
        vl_text_char(text, '?');
    } else {
        vl_text_str(text, ", VALLOC_HELP=1 lists those there are");
    }
}

static void put_bad_value(struct vl_text *text, const struct vl_option *option,
                          const struct entry *entry)
{
    put_name(text, option->name);
    vl_text_char(text, '=');
    put_foreign(text, entry->value, length_before(entry->value, '\0'));
    vl_text_str(text, " is not ");
    put_kind(text, option);
}

bool vl_option_check(const char *string, struct vl_text *text)
{
    struct entry entry;
    int64_t value;
    if (!take_apart(string, &entry))
        return true;
    const struct vl_option *option = find_option(&entry);
    if (option == NULL)
        put_unknown(text, &entry);
    else if (*entry.value != '\0' && !vl_option_parse(option, entry.value, &value))
        put_bad_value(text, option, &entry);
    else
        return true;
    return false;
}

static void warn(const char *string, int fd)
{
    char line[256];
    struct vl_text text = vl_text_on(line, sizeof line);
    struct entry entry;
    vl_text_str(&text, "valloc: ");
    /* True if the program has changed its environment since. */
    if (vl_option_check(string, &text) || !take_apart(string, &entry))
        return;
    const struct vl_option *option = find_option(&entry);
    if (option != NULL) {
        vl_text_str(&text, "; using ");
        vl_option_print(option, option->initial, &text);
    }
    vl_text_line_end(&text);
    vl_text_write(&text, fd);
}

static void warn_of_more(uint32_t count, int fd)
{
    char line[80];
    struct vl_text text = vl_text_on(line, sizeof line);
    vl_text_str(&text, "valloc: and ");
    vl_text_u64(&text, count);
    vl_text_str(&text, " more VALLOC_ variables that are not understood\n");
    vl_text_write(&text, fd);
}

/* "VALLOC_NUMA=off (environment)" */
static void put_setting(struct vl_text *text, unsigned i, const struct vl_options *options)
{
    const struct vl_option *option = &vl_option_table[i];
    bool given = options->given >> i & 1;
    put_name(text, option->name);
    vl_text_char(text, '=');
    vl_option_print(option, vl_option_get(option, options), text);
    vl_text_str(text, given ? " (environment)\n" : " (default)\n");
}

/* The form is read by scripts/options-table. */
static void put_help(struct vl_text *text, unsigned i, const struct vl_options *options)
{
    const struct vl_option *option = &vl_option_table[i];
    put_setting(text, i, options);
    vl_text_str(text, "    ");
    put_kind(text, option);
    vl_text_str(text, ", default ");
    vl_option_print(option, option->initial, text);
    vl_text_str(text, "\n    ");
    vl_text_str(text, option->help);
    vl_text_line_end(text);
}

void vl_options_report(const struct vl_options *options, int fd)
{
    uint32_t kept = min(options->rejected_count, VL_OPTIONS_REJECTED_MAX);
    for (uint32_t i = 0; i < kept; i++)
        warn(options->rejected[i], fd);
    if (options->rejected_count > kept)
        warn_of_more(options->rejected_count - kept, fd);

    if (!options->help && !options->verbose)
        return;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char block[400];
        struct vl_text text = vl_text_on(block, sizeof block);
        if (options->help) {
            put_help(&text, i, options);
        } else {
            vl_text_str(&text, "valloc: ");
            put_setting(&text, i, options);
        }
        vl_text_write(&text, fd);
    }
}
