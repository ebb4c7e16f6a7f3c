/* Linked to Speedtest1: at exit the database that the variable DATABASE names must be in the mode that JOURNAL names, wal or
 * rollback, which is what bytes 18 and 19 of its header say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(void) {
    const char *path = getenv("DATABASE"), *journal = getenv("JOURNAL");
    if (!path || !journal) return;
    unsigned char header[20] = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fread(header, sizeof header, 1, file) != 1) {
        fprintf(stderr, "%s: no database\n", path);
        _Exit(1);
    }
    fclose(file);
    int wal = header[18] == 2 && header[19] == 2;
    if (wal != !strcmp(journal, "wal")) {
        fprintf(stderr, "%s: expected journal %s, its header says %d, %d\n", path, journal, header[18], header[19]);
        _Exit(1);
    }
}

__attribute__((constructor)) static void prepare(void) { atexit(check); }
