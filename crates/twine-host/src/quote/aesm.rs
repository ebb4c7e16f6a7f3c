//! Quotes by Intel's quoting enclave, behind the service AESM (aesmd) of the platform software.
//!
//! The service listens on a Unix socket and speaks protobuf, one request for each connection; the crate `aesm-client` does
//! that part. Of the attestation keys that it offers the ECDSA P-256 one is taken (quotes of version 3).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aesm_client::unix::AesmClientExt;
use aesm_client::{AesmClient, AesmError, Error};
use twine_sgx::{REPORT_SIZE, Targetinfo};

use super::{QuoteError, QuoteProvider};

/// Where the service listens by default.
pub const SOCKET: &str = "/var/run/aesmd/aesm.socket";

/// Where an `sgx_att_key_id_ext_t` has its algorithm (Intel SGX DCAP `sgx_ql_lib_common.h`).
const ALGORITHM: usize = 154;
/// ECDSA P-256.
const ECDSA_P256: [u8; 4] = 2_u32.to_le_bytes();

const INSTALL: &str = "install and start it (packages sgx-aesm-service, libsgx-aesm-quote-ex-plugin, \
                       libsgx-aesm-ecdsa-plugin; systemctl start aesmd)";
const PROVISION: &str = "name a PCCS that knows this platform in /etc/sgx_default_qcnl.conf, and install \
                         libsgx-dcap-default-qpl";

/// The platform's quoting service.
pub struct AesmQuotes {
    socket: PathBuf,
    client: AesmClient,
    key: Mutex<Option<Vec<u8>>>,
}

impl AesmQuotes {
    /// Behind the socket at this path. Nothing is asked of it yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        Self { client: AesmClient::with_path(&socket), socket, key: Mutex::default() }
    }

    /// The attestation key that quotes are made with, asked for once.
    fn key(&self) -> Result<Vec<u8>, QuoteError> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let keys = self.client.get_supported_att_key_ids().map_err(|e| explain(&self.socket, &e))?;
        let ecdsa = |key: &Vec<u8>| key.get(ALGORITHM..ALGORITHM + 4) == Some(&ECDSA_P256[..]);
        let key = keys.into_iter().find(ecdsa).ok_or_else(|| {
            QuoteError(
                "AESM offers no ECDSA P-256 attestation key; install libsgx-aesm-ecdsa-plugin".to_owned(),
            )
        })?;
        *known = Some(key.clone());
        Ok(key)
    }
}

impl QuoteProvider for AesmQuotes {
    fn target(&self) -> Result<[u8; Targetinfo::SIZE], QuoteError> {
        let info = self.client.init_quote_ex(self.key()?).map_err(|e| explain(&self.socket, &e))?;
        info.target_info().try_into().map_err(|_| {
            let len = info.target_info().len();
            QuoteError(format!(
                "AESM answered with {len} bytes, which is no TARGETINFO; update the platform software"
            ))
        })
    }

    fn quote(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, QuoteError> {
        // Nobody here reads the quoting enclave's own report, which could be addressed to somebody: to itself.
        let target = self.target()?;
        let nonce = vec![0; 16];
        let result = self.client.get_quote_ex(self.key()?, report.to_vec(), Some(target.to_vec()), nonce);
        result.map(|result| result.quote().to_vec()).map_err(|e| explain(&self.socket, &e))
    }
}

/// What failed and what to do about it.
fn explain(socket: &Path, error: &Error) -> QuoteError {
    let socket = socket.display();
    QuoteError(match error {
        Error::AesmCommunication(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("AESM does not answer at {socket}: {error}; {INSTALL}")
            }
            io::ErrorKind::PermissionDenied => {
                format!("AESM at {socket}: {error}; add this user to the group that owns the socket")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("AESM at {socket} did not answer in time; look at its log (journalctl -u aesmd)")
            }
            _ => format!("AESM at {socket} broke off: {error}; look at its log (journalctl -u aesmd)"),
        },
        Error::AesmCode(code) => format!("AESM at {socket} refused: {code:?}; {}", remedy(*code)),
        error => {
            format!("AESM at {socket} answered what is no answer: {error}; update the platform software")
        }
    })
}

fn remedy(code: AesmError) -> &'static str {
    use AesmError::*;
    match code {
        NoDeviceError_2 | SgxDeviceNotAvailable_24 | EnableSgxDeviceFailed_25 => {
            "`twine platform` shows what of SGX is missing"
        }
        UnexpectedError_1 | UnsupportedAttKeyId_38 | InterfaceUnavailable_40 | PlatformLibUnavailable_41 => {
            "install libsgx-aesm-quote-ex-plugin, libsgx-aesm-ecdsa-plugin and libsgx-dcap-default-qpl"
        }
        NetworkError_12
        | NetworkBusyError_13
        | BackendServerBusy_19
        | UnrecognizedPlatform_31
        | AttKeyCertDataInvalid_43
        | NoPlatformCertData_44
        | KeyCertificationError_50 => PROVISION,
        ReportError_45 | InvalidReport_47 => "the report is not of this processor",
        Busy_18 | MaxNumSessionReached_8 | OutOfEpc_29 | OutOfMemoryError_21 | ServiceUnavailable_30 => {
            "try again later"
        }
        _ => "look at its log (journalctl -u aesmd)",
    }
}
