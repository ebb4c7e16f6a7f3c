// Evidence over standard input, and the judgement of another program's (docs/guest-api.md):
//   attest.wasm collect NONCE < data > evidence
//   attest.wasm verify NONCE < evidence        with the policy (policy.toml) in the environment as POLICY
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/twine_tee.h"

static char input[TWINE_TEE_MAX_EVIDENCE];
static char output[TWINE_TEE_MAX_EVIDENCE];

static int fail(int errno_) {
    uint32_t used = 0;
    twine_tee_message(output, sizeof output, &used);
    fprintf(stderr, "%.*s\n", (int)used, output);
    return errno_;
}

static void print_hex(const char *name, const uint8_t *bytes, size_t len) {
    printf("%-10s ", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    puts("");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: attest collect|verify NONCE\n");
        return 64;
    }
    const char *nonce = argv[2];
    size_t len = fread(input, 1, sizeof input, stdin);
    uint32_t used = 0;
    if (strcmp(argv[1], "collect") == 0) {
        int error = twine_tee_evidence_collect(input, len, nonce, strlen(nonce), output, sizeof output, &used);
        if (error)
            return fail(error);
        fwrite(output, 1, used, stdout);
        return 0;
    }
    const char *policy = getenv("POLICY");
    if (!policy)
        policy = "";
    twine_tee_record peer;
    int error = twine_tee_evidence_verify(input, len, nonce, strlen(nonce), policy, strlen(policy), NULL, 0, 0, &peer,
                                          output, sizeof output, &used);
    if (error)
        return fail(error);
    print_hex("MRENCLAVE", peer.mrenclave, sizeof peer.mrenclave);
    print_hex("MRSIGNER", peer.mrsigner, sizeof peer.mrsigner);
    print_hex("workload", peer.workload, sizeof peer.workload);
    printf("says       %.*s\n", (int)used, output);
    return 0;
}
