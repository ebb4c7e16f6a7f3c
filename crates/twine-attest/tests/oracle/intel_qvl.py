"""Verifies quotes with Intel's own library: a JSON case per line in, a JSON verdict per line out.

Needs the PyPI package sgx-dcap-quote-verify-python (0.0.3), which binds Intel's quote verification library.
"""

import base64
import datetime
import json
import sys

import sgx_dcap_quote_verify as qvl


def pem(der, kind):
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])


def certificates(ders):
    return "".join(pem(bytes.fromhex(der), "CERTIFICATE") for der in ders)


def verdict(case):
    collateral = case["collateral"]
    leaf, *rest = case["pck_chain"]
    signed = '{{"{}":{},"signature":"{}"}}'
    try:
        result = qvl.verify(
            trusted_root_ca_certificate=certificates([case["root"]]),
            pck_certificate=certificates([leaf]),
            pck_signing_chain=certificates(rest),
            root_ca_crl=pem(bytes.fromhex(collateral["root_ca_crl"]), "X509 CRL"),
            intermediate_ca_crl=pem(bytes.fromhex(collateral["pck_crl"]), "X509 CRL"),
            tcb_info=signed.format("tcbInfo", collateral["tcb_info"], collateral["tcb_info_signature"]),
            tcb_signing_chain=collateral["tcb_info_issuer_chain"],
            quote=bytes.fromhex(case["quote"]),
            qe_identity=signed.format(
                "enclaveIdentity", collateral["qe_identity"], collateral["qe_identity_signature"]
            ),
            expiration_date=datetime.datetime.fromtimestamp(case["at"], datetime.timezone.utc).replace(tzinfo=None),
        )
    except Exception as error:  # the binding raises for what its C++ side throws at
        return {"collateral": f"{type(error).__name__}: {error}", "quote": "exception"}
    parts = [result.pck_certificate_status, result.tcb_info_status, result.qe_identity_status]
    failed = [status.name for status in parts if status != qvl.VerificationStatus.STATUS_OK]
    return {"collateral": ", ".join(failed), "quote": result.quote_status.name}


for line in sys.stdin:
    print(json.dumps(verdict(json.loads(line))), flush=True)
