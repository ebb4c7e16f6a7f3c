// The covariance of each pair of columns.
#include "polybench.h"

enum { M = SIZE(28, 80, 240, 1200), N = SIZE(32, 100, 260, 1400) };

static double data[N][M], cov[M][M], mean[M];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, M) data[i][j] = (double)i * j / M;
}

static void kernel(void) {
    FOR(j, 0, M) {
        mean[j] = 0.0;
        FOR(i, 0, N) mean[j] += data[i][j];
        mean[j] /= N;
    }
    FOR(i, 0, N) FOR(j, 0, M) data[i][j] -= mean[j];
    FOR(i, 0, M) FOR(j, i, M) {
        cov[i][j] = 0.0;
        FOR(k, 0, N) cov[i][j] += data[k][i] * data[k][j];
        cov[i][j] /= N - 1.0;
        cov[j][i] = cov[i][j];
    }
}

static void live_out(void) {
    FOR(i, 0, M) FOR(j, 0, M) see(cov[i][j]);
}
