#include "bench/traces.h"

/* Sizes from `low` on, as many in each doubling. */
struct mix {
    uint32_t low;
    uint32_t octaves;
};

static uint32_t mix_size(const struct mix *mix, struct rng *rng)
{
    return rng_octaves(rng, mix->low, mix->octaves);
}

/* Takes the lowest ids that are free until so much is live; what is above the highest of them. */
static uint32_t fill(struct ledger *ledger, struct rng *rng, const struct mix *mix,
                     uint64_t live_max)
{
    uint32_t id = 0;

    for (; ledger->live < live_max; id++)
        if (!ledger_size(ledger, id))
            ledger_take(ledger, id, mix_size(mix, rng));
    return id;
}

/* ---- growth: what is built stays, beside short-lived blocks and tables that double ---------- */

enum {
    TEMPORARIES = 64,
    TABLES = 16,
    TABLE_BYTES_MIN = 4096,
    OBJECTS_BY_TABLE_STEP = 2048, /* between two times that some table grows */
};

static void grow_table(struct ledger *ledger, uint32_t id, uint64_t bytes_max)
{
    uint32_t size = ledger_size(ledger, id);

    if (size == 0)
        ledger_take(ledger, id, TABLE_BYTES_MIN);
    else if (size < bytes_max)
        ledger_resize(ledger, id, size + size / 2);
}

static void growth(struct ledger *ledger, struct rng *rng, uint64_t live_max)
{
    static const struct mix mix = {32, 5};
    uint32_t first = TEMPORARIES + TABLES;

    for (uint32_t id = first; ledger->live < live_max; id++) {
        ledger_replace(ledger, rng_below(rng, TEMPORARIES), mix_size(&mix, rng));
        ledger_take(ledger, id, mix_size(&mix, rng));
        if ((id - first) % OBJECTS_BY_TABLE_STEP == 0)
            grow_table(ledger, TEMPORARIES + rng_below(rng, TABLES), live_max / 64);
    }
}

/* ---- phases: each builds with other sizes, works, and leaves one block of 20 --------------- */

enum {
    SURVIVORS_ONE_IN = 20,
    LIVE_BY_REPLACEMENT = 512, /* of the bytes that are live at most */
};

/* Blocks of this phase, or of one before, that stay: their id is so much above a multiple. */
static bool survives(uint32_t id, uint32_t phase)
{
    return id % SURVIVORS_ONE_IN <= phase;
}

static void phase_work(struct ledger *ledger, struct rng *rng, const struct mix *mix,
                       uint32_t phase, uint32_t ids, uint64_t replacements)
{
    while (replacements-- > 0) {
        uint32_t id = rng_below(rng, ids);

        if (phase == 0 || !survives(id, phase - 1))
            ledger_replace(ledger, id, mix_size(mix, rng));
    }
}

static void phases(struct ledger *ledger, struct rng *rng, uint64_t live_max)
{
    static const struct mix mixes[] = {{32, 4}, {256, 3}, {1024, 3}, {64, 6}};

    for (uint32_t phase = 0; phase < sizeof mixes / sizeof mixes[0]; phase++) {
        uint32_t ids = fill(ledger, rng, &mixes[phase], live_max);

        phase_work(ledger, rng, &mixes[phase], phase, ids, live_max / LIVE_BY_REPLACEMENT);
        for (uint32_t id = 0; id < ids; id++)
            if (ledger_size(ledger, id) && !survives(id, phase))
                ledger_drop(ledger, id);
    }
}

/* ---- refill: 9 of 10 blocks are freed at random, then other sizes come --------------------- */

static void refill(struct ledger *ledger, struct rng *rng, uint64_t live_max)
{
    static const struct mix mixes[] = {{32, 4}, {512, 3}, {64, 4}, {2048, 4}, {48, 4}};
    uint32_t ids = 0;

    for (uint32_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        uint32_t above = fill(ledger, rng, &mixes[i], live_max);

        ids = above > ids ? above : ids;
        for (uint32_t id = 0; id < ids; id++)
            if (ledger_size(ledger, id) && rng_below(rng, 10) != 0)
                ledger_drop(ledger, id);
    }
    fill(ledger, rng, &mixes[1], live_max);
}

/* ---- redis: keys whose values change, expire, and drift in size ---------------------------- */

enum {
    BUFFERS = 32,
    BUFFER_BYTES_MIN = 64, /* to 16 KB */
    BUFFER_OCTAVES = 8,
    KEY_BYTES_MIN = 24,
    KEY_BYTES_MAX = 64,
    VALUE_BYTES_MIN = 16, /* values are up to 4 KB */
    VALUE_OCTAVES = 3,
    DRIFT_OCTAVES = 5,
    DRIFTS = 3,        /* there and back again */
    LIVE_BY_KEY = 768, /* of the bytes that are live at most */
    COMMANDS_BY_KEY = 15,
};

static uint32_t key_id(uint32_t key)
{
    return BUFFERS + 2 * key;
}

static void expire(struct ledger *ledger, uint32_t key)
{
    if (ledger_size(ledger, key_id(key))) {
        ledger_drop(ledger, key_id(key));
        ledger_drop(ledger, key_id(key) + 1);
    }
}

/* Some values are replaced, others resized in place or not. */
static void set(struct ledger *ledger, struct rng *rng, uint32_t key, uint32_t bytes)
{
    if (!ledger_size(ledger, key_id(key))) {
        ledger_take(ledger, key_id(key), rng_between(rng, KEY_BYTES_MIN, KEY_BYTES_MAX));
        ledger_take(ledger, key_id(key) + 1, bytes);
    } else if (rng_below(rng, 4) == 0) {
        ledger_resize(ledger, key_id(key) + 1, bytes);
    } else {
        ledger_replace(ledger, key_id(key) + 1, bytes);
    }
}

/* Doublings by which values are larger after this part of all commands: up and down again. */
static uint32_t drift(uint64_t command, uint64_t commands)
{
    uint64_t position = command * DRIFTS * 2 * DRIFT_OCTAVES / commands % (2 * DRIFT_OCTAVES);

    return (uint32_t)(position < DRIFT_OCTAVES ? position : 2 * DRIFT_OCTAVES - position);
}

static void redis(struct ledger *ledger, struct rng *rng, uint64_t live_max)
{
    uint32_t keys = (uint32_t)(live_max / LIVE_BY_KEY) + 1;
    uint64_t commands = (uint64_t)keys * COMMANDS_BY_KEY;

    for (uint64_t i = 0; i < commands; i++) {
        uint32_t low = (uint32_t)VALUE_BYTES_MIN << drift(i, commands);

        ledger_replace(ledger, rng_below(rng, BUFFERS),
                       rng_octaves(rng, BUFFER_BYTES_MIN, BUFFER_OCTAVES));
        if (rng_below(rng, 4) == 0)
            expire(ledger, rng_below(rng, keys));
        else
            set(ledger, rng, rng_below(rng, keys), rng_octaves(rng, low, VALUE_OCTAVES));
        while (ledger->live > live_max)
            expire(ledger, rng_below(rng, keys));
    }
}

/* ---- mesh: a wave of refinement runs over the cells; fields grow with them ----------------- */

enum {
    FIELDS = 6,
    SCRATCHES = 4, /* arrays that live for one step */
    CELL_FIRST = FIELDS + SCRATCHES,
    CELL_PARTS = 12,
    STEPS = 48,
    LIVE_BY_CELL = 600, /* refined or not, with its share of fields */
};

/* Nodes, edges and the cells of a refined cell. */
static const uint32_t part_bytes[CELL_PARTS] = {80, 80, 80, 80, 48, 48, 48, 48, 48, 144, 144, 144};

static bool refined(const struct ledger *ledger, uint32_t cell)
{
    return ledger_size(ledger, CELL_FIRST + cell * CELL_PARTS) != 0;
}

static void refine(struct ledger *ledger, uint32_t cell)
{
    for (uint32_t part = 0; part < CELL_PARTS; part++)
        ledger_take(ledger, CELL_FIRST + cell * CELL_PARTS + part, part_bytes[part]);
}

static void coarsen(struct ledger *ledger, uint32_t cell)
{
    for (uint32_t part = 0; part < CELL_PARTS; part++)
        ledger_drop(ledger, CELL_FIRST + cell * CELL_PARTS + part);
}

/* Nine cells of ten in the quarter of them behind the front; elsewhere they go, little by little. */
static uint32_t adapt(struct ledger *ledger, struct rng *rng, uint32_t cells, uint32_t front)
{
    uint32_t count = 0;

    for (uint32_t cell = 0; cell < cells; cell++) {
        bool near = (cell + cells - front) % cells < cells / 4;

        if (near && !refined(ledger, cell) && rng_below(rng, 10) != 0)
            refine(ledger, cell);
        else if (!near && refined(ledger, cell) && rng_below(rng, 3) == 0)
            coarsen(ledger, cell);
        count += refined(ledger, cell);
    }
    return count;
}

static void grow_fields(struct ledger *ledger, uint32_t bytes)
{
    for (uint32_t field = 0; field < FIELDS; field++) {
        uint32_t size = ledger_size(ledger, field);

        if (size == 0)
            ledger_take(ledger, field, bytes);
        else if (size < bytes)
            ledger_resize(ledger, field, bytes + bytes / 4);
        else if (size / 2 > bytes)
            ledger_resize(ledger, field, bytes);
    }
}

static void mesh(struct ledger *ledger, struct rng *rng, uint64_t live_max)
{
    uint32_t cells = (uint32_t)(live_max / LIVE_BY_CELL) + 1;

    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t front = (uint32_t)((uint64_t)cells * step * 5 / STEPS % cells);
        uint32_t bytes = 8 * CELL_PARTS * (adapt(ledger, rng, cells, front) + 1);

        grow_fields(ledger, bytes);
        for (uint32_t i = 0; i < SCRATCHES; i++)
            ledger_take(ledger, FIELDS + i, bytes / (i + 1));
        for (uint32_t i = 0; i < SCRATCHES; i++)
            ledger_drop(ledger, FIELDS + i);
    }
}

/* ------------------------------------------------------------------------------------------- */

bool traces_play(const char *name, struct ledger *ledger, uint64_t seed, uint64_t live_max)
{
    static const struct {
        const char *name;
        void (*play)(struct ledger *ledger, struct rng *rng, uint64_t live_max);
    } traces[] = {
        {"growth", growth}, {"phases", phases}, {"refill", refill},
        {"redis", redis},   {"mesh", mesh},
    };
    struct rng rng = rng_start(seed, 0);

    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        if (strcmp(traces[i].name, name) == 0) {
            traces[i].play(ledger, &rng, live_max);
            return true;
        }
    }
    return false;
}
