/* Operations of 4 KiB on one file: volume FILE
 *
 * The variable OPERATIONS says which: OPERATION:SIZE, separated by spaces, where SIZE is in MiB, and for `sync` a number of
 * operations; writes end with fdatasync unless `-unsynced` follows. They are no arguments, since a volume's key depends on those. One line for each: name, number of operations,
 * nanoseconds, and the median of a single one where each is timed (else 0).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096 };

static uint64_t buffer[BLOCK / 8];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* Block numbers in order, or shuffled with a fixed seed. */
static uint32_t *order(uint32_t count, int shuffled) {
    uint32_t *blocks = malloc(count * sizeof *blocks);
    if (!blocks) fail("malloc");
    for (uint32_t i = 0; i < count; i++) blocks[i] = i;
    uint64_t state = 0x2545f4914f6cdd1d;
    for (uint32_t i = count - 1; shuffled && i > 0; i--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint32_t j = (uint32_t)(state % (i + 1)), moved = blocks[i];
        blocks[i] = blocks[j];
        blocks[j] = moved;
    }
    return blocks;
}

static void write_block(int file, uint32_t block) {
    buffer[0] = block;
    if (pwrite(file, buffer, BLOCK, (off_t)block * BLOCK) != BLOCK) fail("pwrite");
}

static void read_block(int file, uint32_t block) {
    if (pread(file, buffer, BLOCK, (off_t)block * BLOCK) != BLOCK) fail("pread");
    if (buffer[0] != block) {
        fprintf(stderr, "block %u holds %llu\n", block, (unsigned long long)buffer[0]);
        exit(1);
    }
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Overwrites and syncs blocks of a file of 64 MiB; the median time of one. */
static uint64_t sync_each(int file, uint32_t count) {
    uint32_t *blocks = order(64 << 8, 1);
    uint64_t *times = malloc(count * sizeof *times);
    if (!times) fail("malloc");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t start = now();
        write_block(file, blocks[i]);
        if (fdatasync(file)) fail("fdatasync");
        times[i] = now() - start;
    }
    qsort(times, count, sizeof *times, ascending);
    uint64_t median = times[count / 2];
    free(times);
    free(blocks);
    return median;
}

static void operate(int file, char *operation) {
    char *colon = strchr(operation, ':');
    uint32_t size = colon ? (uint32_t)atol(colon + 1) : 0;
    if (!size) {
        fprintf(stderr, "%s: expected OPERATION:SIZE\n", operation);
        exit(2);
    }
    *colon = 0;
    if (!strcmp(operation, "sync")) {
        uint64_t start = now(), median = sync_each(file, size);
        printf("%s %u %llu %llu\n", operation, size, (unsigned long long)(now() - start), (unsigned long long)median);
        return;
    }
    uint32_t count = size << 8;
    int writes = !strncmp(operation, "write", 5), cached = !strcmp(operation, "cached");
    uint32_t *blocks = order(count, cached || strstr(operation, "random") != NULL);
    for (uint32_t b = 0; cached && b < count; b++) read_block(file, b);
    uint64_t start = now();
    for (uint32_t b = 0; b < count; b++) {
        if (writes) write_block(file, blocks[b]);
        else read_block(file, blocks[b]);
    }
    if (writes && !strstr(operation, "unsynced") && fdatasync(file)) fail("fdatasync");
    printf("%s %u %llu 0\n", operation, count, (unsigned long long)(now() - start));
    free(blocks);
}

int main(int argc, char **argv) {
    const char *operations = getenv("OPERATIONS");
    if (argc != 2 || !operations) {
        fprintf(stderr, "usage: OPERATIONS=\"write|write-random|read|read-random|cached|sync:SIZE ...\" volume FILE\n");
        return 2;
    }
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    if (file < 0) fail(argv[1]);
    memset(buffer, 0x5a, BLOCK);
    char *copy = strdup(operations), *rest = copy, *operation;
    while ((operation = strsep(&rest, " "))) operate(file, operation);
    free(copy);
    return close(file) ? 1 : 0;
}
