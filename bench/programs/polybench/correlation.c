// The correlation of each pair of columns.
#include "polybench.h"

enum { M = SIZE(28, 80, 240, 1200), N = SIZE(32, 100, 260, 1400) };

static double data[N][M], corr[M][M], mean[M], deviation[M];

static void init(void) {
    FOR(i, 0, N) FOR(j, 0, M) data[i][j] = (double)(i * j) / M + i;
}

static void kernel(void) {
    FOR(j, 0, M) {
        mean[j] = 0.0;
        FOR(i, 0, N) mean[j] += data[i][j];
        mean[j] /= N;
    }
    FOR(j, 0, M) {
        deviation[j] = 0.0;
        FOR(i, 0, N) deviation[j] += (data[i][j] - mean[j]) * (data[i][j] - mean[j]);
        deviation[j] = sqrt(deviation[j] / N);
        // A column without variation would be divided by zero.
        if (deviation[j] <= 0.1) deviation[j] = 1.0;
    }
    FOR(i, 0, N) FOR(j, 0, M) {
        data[i][j] -= mean[j];
        data[i][j] /= sqrt((double)N) * deviation[j];
    }
    FOR(i, 0, M - 1) {
        corr[i][i] = 1.0;
        FOR(j, i + 1, M) {
            corr[i][j] = 0.0;
            FOR(k, 0, N) corr[i][j] += data[k][i] * data[k][j];
            corr[j][i] = corr[i][j];
        }
    }
    corr[M - 1][M - 1] = 1.0;
}

static void live_out(void) {
    FOR(i, 0, M) FOR(j, 0, M) see(corr[i][j]);
}
