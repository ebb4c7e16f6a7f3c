/* Writes to a standard stream: border STREAM BYTES COUNT
 *
 * Writes BYTES to descriptor STREAM COUNT times. Standard output ends with a line: name, number of operations, nanoseconds, 0.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
    size_t bytes = argc == 4 ? (size_t)atol(argv[2]) : 0;
    uint32_t count = argc == 4 ? (uint32_t)atol(argv[3]) : 0;
    int stream = argc == 4 ? atoi(argv[1]) : 0;
    if (!count || bytes > sizeof buffer) {
        fprintf(stderr, "usage: border STREAM BYTES COUNT\n");
        return 2;
    }
    memset(buffer, '.', bytes);
    if (bytes) buffer[bytes - 1] = '\n';
    uint64_t start = now();
    for (uint32_t i = 0; i < count; i++) {
        size_t done = 0;
        while (done < bytes) {
            ssize_t wrote = write(stream, buffer + done, bytes - done);
            if (wrote < 0) {
                printf("write: %s\n", strerror(errno));
                return 1;
            }
            done += (size_t)wrote;
        }
    }
    printf("write %u %llu 0\n", count, (unsigned long long)(now() - start));
    return 0;
}
