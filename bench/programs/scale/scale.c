/* Many files in one directory, and much in one file: scale FOLDER
 *
 * The variable OPERATION says what: OPERATION:COUNT. It is no argument, since a volume's key depends on those.
 * `create` makes COUNT empty files; `list` reads the directory to its end while it unlinks every tenth file and counts
 * each name once; `stat` looks at 20,000 of them and prints median and 99th percentile in nanoseconds; `sparse` makes
 * a file of COUNT GiB that holds 1 byte; `fill` writes, reads and removes COUNT MiB; `hang` is `create`, then more that is not
 * synced, and waits to be killed. One line: name, number of operations, nanoseconds, 99th
 * percentile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static char path[4096];

static const char *name(const char *folder, uint32_t number) {
    snprintf(path, sizeof path, "%s/file-%07u", folder, number);
    return path;
}

static void create(const char *folder, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        int file = open(name(folder, i), O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (file < 0) fail(path);
        close(file);
    }
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    if (directory < 0 || fsync(directory)) fail(folder);
    close(directory);
}

/* Every file that is not unlinked meanwhile must come exactly once. */
static uint32_t list(const char *folder, uint32_t count) {
    uint8_t *seen = calloc(count, 1), *gone = calloc(count, 1);
    DIR *directory = opendir(folder);
    if (!seen || !gone || !directory) fail(folder);
    uint32_t read = 0, unlinked = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        unsigned number;
        if (sscanf(entry->d_name, "file-%7u", &number) != 1 || number >= count) continue;
        if (seen[number]++) {
            fprintf(stderr, "%s came twice\n", entry->d_name);
            exit(1);
        }
        /* One that lies elsewhere in the directory, read already or not. */
        uint32_t other = (uint32_t)((uint64_t)number * 7919 % count);
        if (++read % 10 == 0 && !unlink(name(folder, other))) {
            gone[other] = 1;
            unlinked++;
        }
    }
    closedir(directory);
    for (uint32_t i = 0; i < count; i++)
        if (!seen[i] && !gone[i]) {
            fprintf(stderr, "file-%07u was lost\n", i);
            exit(1);
        }
    free(seen);
    free(gone);
    return read + unlinked;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Median and 99th percentile of 20,000 looks in a fixed random order. */
static uint64_t look(const char *folder, uint32_t count, uint64_t *p99) {
    enum { LOOKS = 20000 };
    static uint64_t times[LOOKS];
    uint64_t state = 0x2545f4914f6cdd1d;
    for (int i = 0; i < LOOKS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        name(folder, (uint32_t)(state % count));
        struct stat found;
        uint64_t start = now();
        if (stat(path, &found) && errno != ENOENT) fail(path);
        times[i] = now() - start;
    }
    qsort(times, LOOKS, sizeof *times, ascending);
    *p99 = times[LOOKS * 99 / 100];
    return times[LOOKS / 2];
}

static void sparse(const char *folder, uint32_t gib) {
    snprintf(path, sizeof path, "%s/sparse", folder);
    int file = open(path, O_CREAT | O_RDWR, 0600);
    off_t size = (off_t)gib << 30;
    char byte = 1, back = 0;
    if (file < 0 || ftruncate(file, size) || pwrite(file, &byte, 1, size / 2) != 1 || fsync(file)) fail(path);
    struct stat found;
    if (pread(file, &back, 1, size / 2) != 1 || back != 1 || fstat(file, &found) || found.st_size != size) fail(path);
    if (pread(file, &back, 1, size - 1) != 1 || back != 0) fail(path);
    close(file);
}

static void fill(const char *folder, uint32_t mib) {
    static uint64_t block[(1 << 16) / 8];
    snprintf(path, sizeof path, "%s/large", folder);
    int file = open(path, O_CREAT | O_RDWR, 0600);
    if (file < 0) fail(path);
    for (uint32_t i = 0; i < mib << 4; i++) {
        block[0] = i;
        if (write(file, block, sizeof block) != sizeof block) fail(path);
    }
    if (fsync(file)) fail(path);
    for (uint32_t i = 0; i < mib << 4; i++) {
        if (pread(file, block, 8, (off_t)i << 16) != 8 || block[0] != i) fail(path);
    }
    close(file);
    /* What is left of it in the store is given back at the end. */
    if (unlink(path)) fail(path);
}

static void hang(const char *folder, uint32_t count) {
    create(folder, count);
    for (uint32_t i = 0; i < count / 10; i++) {
        int file = open(name(folder, count + i), O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (file < 0) fail(path);
        close(file);
    }
    fprintf(stderr, "unsynced\n");
    getchar();
}

int main(int argc, char **argv) {
    const char *operation = getenv("OPERATION"), *colon = operation ? strchr(operation, ':') : NULL;
    uint32_t count = colon ? (uint32_t)atol(colon + 1) : 0, done = count;
    if (argc != 2 || !count) {
        fprintf(stderr, "usage: OPERATION=create|list|stat|sparse|fill|hang:COUNT scale FOLDER\n");
        return 2;
    }
    const char *folder = argv[1];
    int length = (int)(colon - operation);
    uint64_t start = now(), p99 = 0, took = 0;
    if (!strncmp(operation, "create", length)) create(folder, count);
    else if (!strncmp(operation, "list", length)) done = list(folder, count);
    else if (!strncmp(operation, "stat", length)) took = look(folder, count, &p99);
    else if (!strncmp(operation, "sparse", length)) sparse(folder, count);
    else if (!strncmp(operation, "fill", length)) fill(folder, count);
    else if (!strncmp(operation, "hang", length)) hang(folder, count);
    else return 2;
    printf("%.*s %u %llu %llu\n", length, operation, done, (unsigned long long)(took ? took : now() - start),
           (unsigned long long)p99);
    return 0;
}
