#include "numa/binding.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { PLACES_MAX = 64, NAME_MAX_SHOWN = 31 };

enum state { UNDECIDED, BINDING, OFF };

static _Atomic uint8_t state;     /* release: the places are complete */
static _Atomic uint32_t come;     /* threads so far, but the main one */
static _Atomic int32_t main_node; /* where that one was when it came; the kernel's number */
static struct vl_turn turn;
static char rival[NAME_MAX_SHOWN + 1];
static struct vl_os_output output; /* standard error as it was at the start */

/* Written by who decides. */
static VL_SPARSE struct {
    struct vl_cpu_mask all;
    unsigned count, first;
    uint16_t cpus[PLACES_MAX]; /* how many in each of the masks */
    struct vl_cpu_mask masks[PLACES_MAX];
} places;

/* --- Who else binds --- */

/* "false", "quiet,none" */
static bool has_off_word(const char *value)
{
    static const char words[][10] = {"false", "none", "disabled"};
    for (; *value != '\0'; value += strspn(value, ",")) {
        size_t length = strcspn(value, ",");
        for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
            if (length == strlen(words[i]) && strncasecmp(value, words[i], length) == 0)
                return true;
        value += length;
    }
    return false;
}

static const char *value_of(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return "";
}

/* OMP_PROC_BIND=false has its way over the two that follow it. */
const char *vl_binding_rival(char *const *environment)
{
    static const char names[][24] = {
        "OMP_PROC_BIND",  "OMP_PLACES",       "GOMP_CPU_AFFINITY",      "KMP_AFFINITY",
        "SLURM_CPU_BIND", "I_MPI_PIN_DOMAIN", "MV2_CPU_BINDING_POLICY", "MV2_CPU_MAPPING"};
    bool omp_off = has_off_word(value_of(environment, names[0]));
    for (unsigned i = omp_off ? 3 : 0; i < sizeof names / sizeof *names; i++) {
        const char *value = value_of(environment, names[i]);
        if (*value != '\0' && !has_off_word(value))
            return names[i];
    }
    return NULL;
}

void vl_binding_start(char *const *environment)
{
    const char *name = vl_binding_rival(environment);
    struct vl_text text = vl_text_on(rival, sizeof rival);
    vl_text_str(&text, name != NULL ? name : "");
    vl_set(&main_node, -1);
    vl_os_keep_output(&output, 2);
}

/* --- Saying no --- */

static enum state refuse(const char *reason, const char *more)
{
    char line[160];
    struct vl_text text = vl_text_on(line, sizeof line);
    vl_text_str(&text, "valloc: VALLOC_BIND_THREADS: ");
    vl_text_str(&text, reason);
    vl_text_str(&text, more);
    vl_text_str(&text, "; no thread is bound");
    vl_text_line_end(&text);
    if (vl_os_is_output(&output))
        vl_os_say(output.fd, text.buf, text.len);
    return OFF;
}

/* --- Places --- */

static bool is_same(const struct vl_cpu_mask *a, const struct vl_cpu_mask *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Whether b's CPUs are all among a's. */
static bool covers(const struct vl_cpu_mask *a, const struct vl_cpu_mask *b)
{
    for (unsigned i = 0; i < sizeof a->words / sizeof *a->words; i++)
        if ((b->words[i] & ~a->words[i]) != 0)
            return false;
    return true;
}

static unsigned count_cpus(const struct vl_cpu_mask *cpus)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof cpus->words / sizeof *cpus->words; i++)
        count += vl_bit_count(cpus->words[i]);
    return count;
}

static void add_place(unsigned node)
{
    struct vl_cpu_mask *cpus = &places.masks[places.count];
    if (places.count == PLACES_MAX || vl_os->cpus_of_node(node, cpus) != 0)
        return;
    for (unsigned i = 0; i < sizeof cpus->words / sizeof *cpus->words; i++)
        cpus->words[i] &= places.all.words[i];
    unsigned count = count_cpus(cpus);
    if (count == 0)
        return;
    if ((int)node == vl_get(&main_node))
        places.first = places.count;
    places.cpus[places.count++] = (uint16_t)count;
}

static unsigned count_nodes(const struct vl_node_mask *nodes)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sizeof nodes->words / sizeof *nodes->words; i++)
        count += vl_bit_count(nodes->words[i]);
    return count;
}

static void find_places(const struct vl_node_mask *nodes)
{
    places.count = places.first = 0;
    for (unsigned node = 0; node < VL_NODES_MAX; node++)
        if (vl_node_mask_has(nodes, node))
            add_place(node);
}

unsigned vl_binding_place(enum vl_bind_mode mode, uint32_t nth, const uint16_t *cpus,
                          unsigned count, unsigned first)
{
    uint32_t in_all = 0;
    if (mode == VL_BIND_SPREAD)
        return (first + nth) % count;
    for (unsigned i = 0; i < count; i++)
        in_all += cpus[i];
    unsigned place = first;
    for (nth %= in_all; nth >= cpus[place]; place = (place + 1) % count)
        nth -= cpus[place];
    return place;
}

/* --- Binding --- */

/* Whether a thread runs where it was put by us or by nobody. */
static bool is_unsettled(const struct vl_cpu_mask *cpus)
{
    bool known = is_same(cpus, &places.all);
    for (unsigned i = 0; i < places.count && !known; i++)
        known = is_same(cpus, &places.masks[i]);
    return known;
}

static int bind_to(bool main, uint32_t nth)
{
    unsigned place =
        vl_binding_place(vl_options.bind_mode, nth, places.cpus, places.count, places.first);
    return vl_os->set_affinity(main, &places.masks[place]);
}

static enum state decide(void)
{
    struct vl_cpu_mask could;
    struct vl_node_mask nodes = {{0}};
    if (vl_os->cpu_nodes(&nodes) != 0 || count_nodes(&nodes) < 2)
        return OFF; /* all is one place */
    if (rival[0] != '\0')
        return refuse(rival, " has threads bound already");
    if (vl_os->affinity(true, &places.all) != 0 || vl_os->allowed_cpus(&could) != 0)
        return refuse("the kernel does not tell CPUs", "");
    if (!is_same(&places.all, &could))
        return refuse("the process is bound to some of its CPUs already", "");
    find_places(&nodes);
    if (places.count < 2)
        return OFF; /* the cpuset has one */
    return bind_to(true, 0) == 0 ? BINDING : refuse("the kernel does not let it", "");
}

/* Such a thread has seen to its CPUs, and leaves it to the next to decide, who has to change them for a moment
 * (allowed_cpus). */
static bool has_fewer_than_main(void)
{
    struct vl_cpu_mask own, of_main;
    return vl_os->affinity(false, &own) == 0 && vl_os->affinity(true, &of_main) == 0 &&
           !covers(&own, &of_main);
}

static bool is_binding(void)
{
    if (vl_get_acquire(&state) == UNDECIDED && !has_fewer_than_main() && vl_turn_take(&turn)) {
        if (vl_get(&state) == UNDECIDED)
            vl_set_release(&state, decide());
        vl_turn_end(&turn);
    }
    return vl_get_acquire(&state) == BINDING;
}

static void note_main(void)
{
    unsigned cpu, node;
    if (vl_os->where(&cpu, &node) == 0)
        vl_set(&main_node, (int32_t)node);
}

void vl_binding_come(void)
{
    struct vl_cpu_mask now;
    if (vl_likely(vl_options.bind_mode == VL_BIND_NONE))
        return;
    if (vl_os->is_main_thread())
        note_main();
    else if (is_binding() && vl_os->affinity(false, &now) == 0 && is_unsettled(&now))
        bind_to(false, 1 + vl_add(&come, 1));
}

/* Places stay what they are: the thread that is left runs on one of them, or on all. */
void vl_binding_after_fork(void)
{
    vl_turn_reset(&turn, false);
    vl_set_if_other(&come, 0);
}
