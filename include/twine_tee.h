/* twine_tee_v1: what a WebAssembly program can have of the enclave it runs in.
 *
 * docs/guest-api.md is the specification. Compile for wasm32-wasi; no library is needed.
 * Every function returns 0 or a WASI errno number (errno.h of wasi-libc has them), and writes nothing else then but
 * *used with ERANGE. A pointer outside of memory ends the program with a trap.
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TWINE_TEE_H
#define TWINE_TEE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TWINE_TEE_MAX_DATA 4096u          /* a program's data in one piece of evidence */
#define TWINE_TEE_MAX_NONCE 64u           /* a verifier's nonce */
#define TWINE_TEE_MAX_EVIDENCE 32768u     /* evidence: a buffer of this size always suffices */
#define TWINE_TEE_MAX_INPUT 1048576u      /* a policy; collateral */
#define TWINE_TEE_MAX_AAD 4096u           /* associated data */
#define TWINE_TEE_MAX_SEALED 67108864u    /* sealed data */
#define TWINE_TEE_SEAL_OVERHEAD 80u       /* how much longer sealed data is */

#define TWINE_TEE_SEAL_TO_ENCLAVE 0u      /* this image and signer */
#define TWINE_TEE_SEAL_TO_SIGNER 1u       /* later images of the same signer and product as well */

#define TWINE_TEE_DEBUG 1u                /* a debugger can read this enclave */
#define TWINE_TEE_VERIFIED 2u             /* by evidence_verify */
#define TWINE_TEE_SIMULATED 4u            /* a simulated processor, which protects nothing */

/* The identity of an enclave, little-endian. */
typedef struct twine_tee_record {
    uint32_t version;                     /* 1 */
    uint32_t flags;                       /* TWINE_TEE_DEBUG and so on */
    uint16_t isvprodid;
    uint16_t isvsvn;
    uint16_t configsvn;
    uint16_t reserved;                    /* 0 */
    uint8_t cpusvn[16];
    uint8_t mrenclave[32];
    uint8_t mrsigner[32];
    uint8_t configid[64];
    uint8_t workload[64];                 /* digest of the workload */
} twine_tee_record;

#ifdef __cplusplus
static_assert(sizeof(twine_tee_record) == 224, "ABI");
#else
_Static_assert(sizeof(twine_tee_record) == 224, "ABI");
#endif

#define TWINE_TEE_IMPORT(name) __attribute__((import_module("twine_tee_v1"), import_name(name)))

/* Who this enclave is. */
TWINE_TEE_IMPORT("identity")
int twine_tee_identity(twine_tee_record *record);

/* Evidence that this workload in this enclave says `data`, with the verifier's nonce if there is one. */
TWINE_TEE_IMPORT("evidence_collect")
int twine_tee_evidence_collect(const void *data, size_t data_len, const void *nonce, size_t nonce_len, void *buf,
                               size_t buf_len, uint32_t *used);

/* Whether a peer's evidence is authentic and what `policy` (TOML, docs/attestation.md) asks for, as of `at` (seconds
 * since 1970; 0: by the host's clock). Without collateral the host is asked for it. Gives the peer's identity and data.
 * EACCES: refused. EBADMSG: malformed. ESTALE: collateral is missing or not valid at this time. EINVAL: the policy. */
TWINE_TEE_IMPORT("evidence_verify")
int twine_tee_evidence_verify(const void *evidence, size_t evidence_len, const void *nonce, size_t nonce_len,
                              const char *policy, size_t policy_len, const void *collateral, size_t collateral_len,
                              uint64_t at, twine_tee_record *peer, void *data, size_t data_len, uint32_t *used);

/* What evidence claims. NOTHING OF IT IS VERIFIED. */
TWINE_TEE_IMPORT("evidence_parse")
int twine_tee_evidence_parse(const void *evidence, size_t evidence_len, twine_tee_record *claimed, void *data,
                             size_t data_len, uint32_t *used);

/* Seals `data` so that only this workload opens it again, on this processor. An old copy opens as well as a new one. */
TWINE_TEE_IMPORT("seal")
int twine_tee_seal(uint32_t to, const void *aad, size_t aad_len, const void *data, size_t data_len, void *buf,
                   size_t buf_len, uint32_t *used);

/* Opens what twine_tee_seal made with the same associated data. EACCES: it does not open. EBADMSG: malformed. */
TWINE_TEE_IMPORT("unseal")
int twine_tee_unseal(const void *aad, size_t aad_len, const void *sealed, size_t sealed_len, void *buf, size_t buf_len,
                     uint32_t *used);

/* Why the last call failed that did; text for people, not NUL-terminated. */
TWINE_TEE_IMPORT("message")
int twine_tee_message(char *buf, size_t buf_len, uint32_t *used);

#ifdef __cplusplus
}
#endif
#endif
