// A stencil of three points.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), N = SIZE(30, 120, 400, 2000) };

static double A[N], B[N];

static void init(void) {
    FOR(i, 0, N) {
        A[i] = ((double)i + 2.0) / N;
        B[i] = ((double)i + 3.0) / N;
    }
}

static void kernel(void) {
    FOR(t, 0, T) {
        FOR(i, 1, N - 1) B[i] = 0.33333 * (A[i - 1] + A[i] + A[i + 1]);
        FOR(i, 1, N - 1) A[i] = 0.33333 * (B[i - 1] + B[i] + B[i + 1]);
    }
}

static void live_out(void) {
    FOR(i, 0, N) see(A[i]);
}
