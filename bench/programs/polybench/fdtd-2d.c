// Finite differences in the time domain: an electromagnetic field in two dimensions.
#include "polybench.h"

enum { T = SIZE(20, 40, 100, 500), NX = SIZE(20, 60, 200, 1000), NY = SIZE(30, 80, 240, 1200) };

static double ex[NX][NY], ey[NX][NY], hz[NX][NY], source[T];

static void init(void) {
    FOR(t, 0, T) source[t] = t;
    FOR(i, 0, NX) FOR(j, 0, NY) {
        ex[i][j] = (double)i * (j + 1) / NX;
        ey[i][j] = (double)i * (j + 2) / NY;
        hz[i][j] = (double)i * (j + 3) / NX;
    }
}

static void kernel(void) {
    FOR(t, 0, T) {
        FOR(j, 0, NY) ey[0][j] = source[t];
        FOR(i, 1, NX) FOR(j, 0, NY) ey[i][j] -= 0.5 * (hz[i][j] - hz[i - 1][j]);
        FOR(i, 0, NX) FOR(j, 1, NY) ex[i][j] -= 0.5 * (hz[i][j] - hz[i][j - 1]);
        FOR(i, 0, NX - 1) FOR(j, 0, NY - 1)
            hz[i][j] -= 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
    }
}

static void live_out(void) {
    FOR(i, 0, NX) FOR(j, 0, NY) {
        see(ex[i][j]);
        see(ey[i][j]);
        see(hz[i][j]);
    }
}
