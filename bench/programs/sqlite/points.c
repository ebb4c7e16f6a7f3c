/* The micro-benchmarks of the paper: points DATABASE RECORDS CACHE_KIB
 *
 * Inserts records of 1,000 bytes in one transaction, reads each in order of its key, then as many at random. Journal
 * DELETE, synchronous NORMAL, pages of 4 KiB. One line for each phase: name, number of operations, nanoseconds, and 0;
 * the last line is a checksum that every build must agree on.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOB = 1000 };

static sqlite3 *db;
static uint64_t state = 0x2545f4914f6cdd1d, sum;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    fprintf(stderr, "sqlite: %s\n", db ? sqlite3_errmsg(db) : "no database");
    exit(1);
}

static void run(const char *sql) { check(sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    return statement;
}

static void insert(uint32_t records) {
    static uint64_t blob[BLOB / 8];
    run("BEGIN");
    sqlite3_stmt *statement = prepare("INSERT INTO records VALUES (?1, ?2)");
    for (uint32_t i = 1; i <= records; i++) {
        for (int w = 0; w < BLOB / 8; w++) blob[w] = next();
        sqlite3_bind_int64(statement, 1, i);
        sqlite3_bind_blob(statement, 2, blob, BLOB, SQLITE_STATIC);
        check(sqlite3_step(statement));
        check(sqlite3_reset(statement));
    }
    check(sqlite3_finalize(statement));
    run("COMMIT");
}

static void read_all(uint32_t records, int random) {
    sqlite3_stmt *statement = prepare("SELECT data FROM records WHERE id = ?1");
    for (uint32_t i = 1; i <= records; i++) {
        sqlite3_bind_int64(statement, 1, random ? (sqlite3_int64)(next() % records) + 1 : i);
        if (sqlite3_step(statement) != SQLITE_ROW || sqlite3_column_bytes(statement, 0) != BLOB) {
            fprintf(stderr, "a record is missing\n");
            exit(1);
        }
        uint64_t word;
        memcpy(&word, sqlite3_column_blob(statement, 0), sizeof word);
        sum = sum * 31 + word;
        check(sqlite3_reset(statement));
    }
    check(sqlite3_finalize(statement));
}

static void report(const char *name, uint32_t records, uint64_t start) {
    printf("%s %u %llu 0\n", name, records, (unsigned long long)(now() - start));
}

int main(int argc, char **argv) {
    uint32_t records = argc == 4 ? (uint32_t)atol(argv[2]) : 0;
    if (!records) {
        fprintf(stderr, "usage: points DATABASE RECORDS CACHE_KIB\n");
        return 2;
    }
    const char *vfs = strcmp(argv[1], ":memory:") ? "unix-none" : NULL;
    check(sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs));
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%ld", atol(argv[3]));
    run("PRAGMA page_size = 4096");
    run(cache);
    run("PRAGMA journal_mode = DELETE");
    run("PRAGMA synchronous = NORMAL");
    run("CREATE TABLE records (id INTEGER PRIMARY KEY, data BLOB)");
    uint64_t start = now();
    insert(records);
    report("insert", records, start);
    start = now();
    read_all(records, 0);
    report("sequential", records, start);
    start = now();
    read_all(records, 1);
    report("random", records, start);
    check(sqlite3_close(db));
    printf("checksum %016llx\n", (unsigned long long)sum);
    return 0;
}
