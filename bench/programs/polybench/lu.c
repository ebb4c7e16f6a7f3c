// A = L U without pivoting; both replace A.
#include "polybench.h"
#include "definite.h"

static void kernel(void) {
    FOR(i, 0, N) {
        FOR(j, 0, i) {
            FOR(k, 0, j) A[i][j] -= A[i][k] * A[k][j];
            A[i][j] /= A[j][j];
        }
        FOR(j, i, N) FOR(k, 0, i) A[i][j] -= A[i][k] * A[k][j];
    }
}

static void live_out(void) {
    FOR(i, 0, N) FOR(j, 0, N) see(A[i][j]);
}
