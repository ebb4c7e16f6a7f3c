// A = L L' of a positive definite A; L replaces its lower triangle.
#include "polybench.h"
#include "definite.h"

static void kernel(void) {
    FOR(i, 0, N) {
        FOR(j, 0, i) {
            FOR(k, 0, j) A[i][j] -= A[i][k] * A[j][k];
            A[i][j] /= A[j][j];
        }
        FOR(k, 0, i) A[i][i] -= A[i][k] * A[i][k];
        A[i][i] = sqrt(A[i][i]);
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, i + 1) see(A[i][j]);
}
