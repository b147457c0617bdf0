/*
 * demo - an index of words, built by several threads: what ./quickstart runs.
 *
 * Each worker reads texts (made up from random numbers) and notes for every word where it stands:
 * a hash table of small nodes, each with a list of places that grows by realloc. A finished index
 * is handed to the next worker, who counts it and frees it, so that most blocks are freed by
 * another thread than the one that allocated them. The result does not depend on timing.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKERS = 4,
    TEXTS = 32,          /* for each worker */
    TEXT_WORDS = 120000,
    VOCABULARY = 30000,
    BUCKETS = 1 << 14,
};

struct word {
    struct word *next;
    uint32_t *places;
    uint32_t count, capacity;
    char spelling[];
};

struct index {
    struct word *buckets[BUCKETS];
};

struct worker {
    pthread_t thread;
    struct worker *neighbour;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct index *inbox; /* under the mutex */
    uint64_t random;
    uint64_t places, checksum;
};

static struct worker workers[WORKERS];

static void *checked(void *block)
{
    if (block == NULL) {
        perror("demo");
        exit(EXIT_FAILURE);
    }
    return block;
}

/* Small numbers are likelier, as frequent words are in a text. */
static uint32_t random_word(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t fraction = *state >> 40;
    return (uint32_t)((fraction * fraction >> 24) * VOCABULARY >> 24);
}

/* The lengths of words vary, and with them those of the blocks. */
static size_t spell(char *spelling, size_t size, uint32_t number)
{
    return (size_t)snprintf(spelling, size, "%.*sword%u", (int)(number % 40),
                            "........................................", number);
}

static struct word *find(struct index *index, uint32_t number)
{
    char spelling[64];
    size_t length = spell(spelling, sizeof spelling, number);
    struct word **link = &index->buckets[number * 2654435761u % BUCKETS];
    while (*link != NULL && strcmp((*link)->spelling, spelling) != 0)
        link = &(*link)->next;
    if (*link == NULL) {
        *link = checked(calloc(1, sizeof **link + length + 1));
        memcpy((*link)->spelling, spelling, length + 1);
    }
    return *link;
}

static void add_place(struct word *word, uint32_t place)
{
    if (word->count == word->capacity) {
        word->capacity = word->capacity == 0 ? 2 : word->capacity * 2;
        word->places = checked(realloc(word->places, word->capacity * sizeof *word->places));
    }
    word->places[word->count++] = place;
}

static struct index *read_text(uint64_t *state)
{
    struct index *index = checked(calloc(1, sizeof *index));
    for (uint32_t place = 0; place < TEXT_WORDS; place++)
        add_place(find(index, random_word(state)), place);
    return index;
}

static void count_and_free(struct worker *self, struct index *index)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct word *word = index->buckets[i], *next; word != NULL; word = next) {
            next = word->next;
            self->places += word->count;
            self->checksum += (uint64_t)word->places[word->count - 1] * strlen(word->spelling);
            free(word->places);
            free(word);
        }
    }
    free(index);
}

static void send(struct worker *to, struct index *index)
{
    pthread_mutex_lock(&to->mutex);
    while (to->inbox != NULL)
        pthread_cond_wait(&to->changed, &to->mutex);
    to->inbox = index;
    pthread_cond_broadcast(&to->changed);
    pthread_mutex_unlock(&to->mutex);
}

static struct index *receive(struct worker *self)
{
    pthread_mutex_lock(&self->mutex);
    while (self->inbox == NULL)
        pthread_cond_wait(&self->changed, &self->mutex);
    struct index *index = self->inbox;
    self->inbox = NULL;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    return index;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    for (int i = 0; i < TEXTS; i++) {
        send(self->neighbour, read_text(&self->random));
        count_and_free(self, receive(self));
    }
    return NULL;
}

int main(void)
{
    uint64_t places = 0, checksum = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].neighbour = &workers[(i + 1) % WORKERS];
        workers[i].random = i + 1;
        pthread_mutex_init(&workers[i].mutex, NULL);
        pthread_cond_init(&workers[i].changed, NULL);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return EXIT_FAILURE;
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        places += workers[i].places;
        checksum += workers[i].checksum;
    }
    printf("%d threads indexed %llu words in %d texts (checksum %016llx)\n", WORKERS,
           (unsigned long long)places, WORKERS * TEXTS, (unsigned long long)checksum);
    return EXIT_SUCCESS;
}
