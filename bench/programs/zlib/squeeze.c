// Compresses text of its own making with zlib and takes it apart again, TIMES times: squeeze [TIMES].
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zlib.h"

enum { SIZE = 8 << 20 };

static unsigned char text[SIZE], again[SIZE];

// Words of a few hundred, unevenly often: it compresses about as English does.
static void write_text(void) {
    unsigned state = 1;
    for (size_t at = 0; at < SIZE;) {
        state = state * 1664525u + 1013904223u;
        unsigned word = (state >> 16) % 997 * ((state >> 24) % 13 + 1) % 601;
        unsigned letters = 2 + word % 9;
        for (unsigned i = 0; i < letters && at < SIZE; i++)
            text[at++] = (unsigned char)('a' + (word * (i + 7) + i * i) % 26);
        if (at < SIZE) text[at++] = ' ';
    }
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    uLong bound = compressBound(SIZE), packed = 0;
    unsigned char *small = malloc(bound);
    if (!small) return 1;
    write_text();
    for (int i = 0; i < times; i++) {
        packed = bound;
        uLong size = SIZE;
        if (compress2(small, &packed, text, SIZE, 6) != Z_OK) return 1;
        if (uncompress(again, &size, small, packed) != Z_OK || size != SIZE) return 1;
        if (memcmp(text, again, SIZE) != 0) return 1;
    }
    printf("%d bytes, %lu packed, adler32 %08lx\n", SIZE, packed, adler32(1, small, (uInt)packed));
    return 0;
}
