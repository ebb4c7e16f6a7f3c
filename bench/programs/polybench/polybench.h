// What the thirty kernels share. Each is a file that defines its arrays, `init`, `kernel` and `live_out`; the sizes are those
// of the suite, chosen with -DMINI, -DSMALL, -DMEDIUM or -DLARGE. Written from the kernels' definitions.
//
// `program [TIMES]` computes TIMES times from fresh inputs and prints a checksum of what the kernel leaves behind.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(MINI)
#define SIZE(mini, small, medium, large) mini
#elif defined(SMALL)
#define SIZE(mini, small, medium, large) small
#elif defined(MEDIUM)
#define SIZE(mini, small, medium, large) medium
#else
#define SIZE(mini, small, medium, large) large
#endif

// Loops over a half-open range.
#define FOR(i, from, to) for (int i = (from); i < (to); i++)

static void init(void);
static void kernel(void);
static void live_out(void);

static double sum;
static long counted;

// Takes one value into the checksum, weighted by its place. Libraries' exp and sqrt may differ in the last bit, so the sum is
// printed with fewer digits than it has.
static void see(double value) {
    sum += value * (double)(1 + counted % 17);
    counted++;
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    FOR(i, 0, times) {
        init();
        kernel();
    }
    live_out();
    printf("%ld values, checksum %.9e\n", counted, sum);
    return 0;
}
