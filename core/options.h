/*
 * options - the VALLOC_* variables of the environment.
 *
 * One table in options.c holds all there is to know of each: name, type, default, help. From it
 * come the defaults, the parser, the warnings and the list that VALLOC_HELP=1 prints, from which
 * scripts/options-table makes the README's table and the man page's list.
 *
 * Parsing and printing are apart: vl_options_load runs inside the first malloc, perhaps before
 * libc is ready; vl_options_report in the library's constructor.
 *
 *      parsed once:  the first entry of a name counts, as with getenv; an empty value is no value
 *      mistakes:     the default stays, and one line on stderr names the variable that was meant
 *      AT_SECURE:    the environment is not ours to trust, nothing of it is read
 */
#ifndef VL_CORE_OPTIONS_H
#define VL_CORE_OPTIONS_H

#include "core/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The order is that of the words in the table. */
enum vl_stats_mode { VL_STATS_OFF, VL_STATS_SUMMARY, VL_STATS_JSON };
enum vl_hugepage_mode {
    VL_HUGEPAGE_AUTO,
    VL_HUGEPAGE_NEVER,
    VL_HUGEPAGE_THP,
    VL_HUGEPAGE_ALWAYS,
    VL_HUGEPAGE_HUGETLB,
    VL_HUGEPAGE_GIANT /* the same, and pages of 1 GB */
};
enum vl_numa_mode { VL_NUMA_AUTO, VL_NUMA_OFF };
/* Of big blocks: where their pages go. */
enum vl_large_policy {
    VL_LARGE_FIRST_TOUCH,
    VL_LARGE_LOCAL,
    VL_LARGE_INTERLEAVE,
    VL_LARGE_WEIGHTED
};
/* Memory of nodes without processors (numa/tier.h), in the order of the names in options.c. */
enum vl_tier { VL_TIER_HBM, VL_TIER_CXL, VL_TIERS };
enum vl_bind_mode { VL_BIND_NONE, VL_BIND_SPREAD, VL_BIND_COMPACT };
enum vl_fill_mode { VL_FILL_NONE, VL_FILL_JUNK, VL_FILL_ZERO };

#define VL_SIZE_AUTO  SIZE_MAX      /* a size that valloc is to choose */
#define VL_TIME_NEVER ((int64_t)-1) /* a delay that does not end */
#define VL_LIMIT_NONE ((int64_t)-1)

/* A limit is a number of bytes, or a share of the process's cgroup: that in percent, or 0. */
static inline unsigned vl_limit_percent(int64_t limit)
{
    return limit < VL_LIMIT_NONE ? (unsigned)(VL_LIMIT_NONE - limit) : 0;
}

enum { VL_OPTIONS_REJECTED_MAX = 8 };

struct vl_options {
    bool help;
    bool verbose;
    bool count;
    bool purge_thread;
    enum vl_stats_mode stats_mode;
    enum vl_hugepage_mode hugepage_mode;
    enum vl_numa_mode numa_mode;
    enum vl_large_policy large_policy;
    enum vl_bind_mode bind_mode;
    enum vl_fill_mode fill_mode;
    uint32_t stats_pid; /* 0: every process */
    size_t huge_start_bytes;
    size_t thread_cache_bytes;
    size_t large_cache_bytes; /* or VL_SIZE_AUTO */
    size_t va_reserve_bytes;  /* or VL_SIZE_AUTO */
    int64_t purge_delay_ms;   /* or VL_TIME_NEVER */
    int64_t limit_soft, limit_hard;
    int64_t reserve_time_ms;
    const char *reserve; /* amounts, where they stand in the environment, or NULL */
    const char *tier;    /* tiers, likewise */

    /* Bit i: the value of row i of the table comes from the environment. */
    uint32_t given;
    /* Entries that were not understood, "NAME=value", in the environment itself; and how many
     * there were, which may be more than are kept. */
    uint32_t rejected_count;
    const char *rejected[VL_OPTIONS_REJECTED_MAX];
};

/* The settings in force. Holds the defaults before any code has run; written by one load only. */
extern struct vl_options vl_options;

/* Sets every option, from `environment` (which may be NULL) or to its default. `secure`: the
 * process gained rights when it was started (AT_SECURE). */
void vl_options_load(struct vl_options *options, char *const *environment, bool secure);

/* Prints what there is to say: warnings, and the settings where VALLOC_HELP or VALLOC_VERBOSE asks
 * for them. The environment given to load must still be there. */
void vl_options_report(const struct vl_options *options, int fd);

/* Whether an entry of the environment, "VALLOC_NAME=value", is understood, or none of ours; what is
 * wrong with it goes to `text`. */
bool vl_option_check(const char *entry, struct vl_text *text);

/*
 * A row of the table.
 *
 *      type         text                          value
 *      BOOL         0|1, no|yes, off|on             0 or 1
 *      WORD         one of `words`                its index
 *      UNSIGNED     42                            42          between min and max
 *      SIZE         4096, 64K, 2M, 1G, 1T         in bytes    between min and max
 *      TIME         250, 250ms, 10s               in ms       between min and max
 *      LIMIT        4096, 1G, 90%cgroup           in bytes, or as vl_limit_percent reads it
 *      AMOUNTS      8G, 0:4G,1:4G                 the text itself, or NULL; vl_amounts_read
 *      TIERS        hbm:>=64M,cxl:>=1G            the text itself, or NULL; vl_tiers_read
 *
 * UNSIGNED to LIMIT may have one word beside the numbers (auto, -1), with the value -1. Text lies
 * inside the row: a pointer would be a relocation at the start of every process.
 */
enum vl_option_type {
    VL_OPTION_BOOL,
    VL_OPTION_WORD,
    VL_OPTION_UNSIGNED,
    VL_OPTION_SIZE,
    VL_OPTION_TIME,
    VL_OPTION_LIMIT,
    VL_OPTION_AMOUNTS,
    VL_OPTION_TIERS
};

enum { VL_OPTION_NAME_SIZE = 20, VL_OPTION_WORDS_SIZE = 44, VL_OPTION_HELP_SIZE = 128 };

struct vl_option {
    char name[VL_OPTION_NAME_SIZE]; /* without VALLOC_ */
    char words[VL_OPTION_WORDS_SIZE];
    char help[VL_OPTION_HELP_SIZE];
    uint8_t type;
    uint8_t width; /* of the field in struct vl_options: 1, 4 or 8 bytes */
    uint16_t offset;
    int64_t initial, min, max;
};

/* Reads sizes for nodes by the kernel's numbers, or one for all of them, -1. False if the text says anything
 * else; then some calls may have been made all the same. */
typedef void vl_amount_fn(int node, uint64_t bytes, void *argument);
bool vl_amounts_read(const char *string, vl_amount_fn *amount, void *argument);

/* The same with the least size of a block for each tier; a tier is named once. */
typedef void vl_tier_fn(enum vl_tier tier, uint64_t bytes, void *argument);
bool vl_tiers_read(const char *string, vl_tier_fn *tier, void *argument);

extern const struct vl_option vl_option_table[];
extern const unsigned vl_option_count;

/* False, with *value untouched, if `string` is no value of the option. */
bool vl_option_parse(const struct vl_option *option, const char *string, int64_t *value);
/* The inverse: text that parses to `value`, in the largest unit that is exact. */
void vl_option_print(const struct vl_option *option, int64_t value, struct vl_text *text);
int64_t vl_option_get(const struct vl_option *option, const struct vl_options *options);

#endif
