/* tree - two threads each build a tree of a thousand nodes: something to debug. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    int key;
    struct node *left, *right;
};

static void insert(struct node **place, int key)
{
    if (*place == NULL) {
        *place = calloc(1, sizeof **place);
        (*place)->key = key;
        return;
    }
    insert(key < (*place)->key ? &(*place)->left : &(*place)->right, key);
}

static int sum(const struct node *tree)
{
    return tree == NULL ? 0 : tree->key + sum(tree->left) + sum(tree->right);
}

static void release(struct node *tree)
{
    if (tree == NULL)
        return;
    release(tree->left);
    release(tree->right);
    free(tree);
}

static void finished(const struct node *tree, int total)
{
    printf("root %d, sum %d\n", tree->key, total);
}

static void *plant_subtree(void *first_key)
{
    struct node *tree = NULL;
    int key = *(int *)first_key;

    for (int i = 0; i < 1000; i++, key = key * 7919 % 10007)
        insert(&tree, key);
    finished(tree, sum(tree));
    release(tree);
    return NULL;
}

int main(void)
{
    int first_keys[] = {17, 4242};

    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, plant_subtree, &first_keys[i]) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
