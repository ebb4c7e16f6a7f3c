//! Collateral from Intel's provisioning certification service or a cache of it (PCCS): API version 4, over HTTP.
//!
//! Nothing that comes back is believed: it is judged as collateral from a file is. HTTPS keeps from the network which
//! platform is asked about, and no more.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use twine_attest::ratls::CollateralSource;
use twine_attest::{ClaimedPlatform, Collateral, PcsAnswers, Quote};
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// Where Intel's root certificate says that its CRL is; the service itself does not serve it, caches do.
const INTEL_ROOT_CRL: &str = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/// Most bytes of an answer: several times the largest that there is.
const LIMIT: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
const PATH: &str = "/sgx/certification/v4";
/// How long, in seconds, collateral is not asked for again.
const FRESH: u64 = 24 * 60 * 60;
/// Platforms whose collateral is kept: quotes name them before they are judged.
const PLATFORMS: usize = 256;

/// A service, and what it said last about each platform.
#[derive(Debug)]
pub struct Pccs {
    base: String,
    agent: Agent,
    kept: Mutex<HashMap<ClaimedPlatform, Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    json: Vec<u8>,
    /// In seconds since 1970.
    fetched: u64,
    until: u64,
}

impl Kept {
    fn is_fresh(&self, at: u64) -> bool {
        (self.fetched..=self.fetched.saturating_add(FRESH)).contains(&at)
    }
}

/// What is kept serves for a day; after that, if the service fails, as long as it is valid.
impl CollateralSource for Pccs {
    fn collateral(&self, quote: &Quote, at: u64) -> Result<Vec<u8>, String> {
        let platform = quote.platform().map_err(|e| e.to_string())?;
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lock().get(&platform).filter(|kept| at <= kept.until).cloned();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(at)) {
            return Ok(kept.json.clone());
        }
        // Not under the lock: a platform that the service takes long over must not hold up others.
        let collateral = match self.fetch(platform) {
            Ok(collateral) => collateral,
            Err(error) => return kept.map(|kept| kept.json).ok_or(error),
        };
        let kept =
            Kept { json: collateral.to_json().into_bytes(), fetched: at, until: collateral.valid_until() };
        let json = kept.json.clone();
        let mut all = lock();
        if all.len() >= PLATFORMS {
            all.clear();
        }
        all.insert(platform, kept);
        Ok(json)
    }
}

struct Answer {
    body: Vec<u8>,
    response: Response<Body>,
}

impl Pccs {
    /// At this URL, with or without the API's path; `ca` (PEM) is trusted for HTTPS instead of the Web's authorities.
    pub fn new(url: &str, ca: Option<&Path>) -> Result<Self, String> {
        let base = url.trim_end_matches('/');
        if !(base.starts_with("https://") || base.starts_with("http://")) {
            return Err(format!("{url}: write a URL like https://pccs.example.org:8081"));
        }
        let base = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
        let mut tls = TlsConfig::builder();
        if let Some(path) = ca {
            let pem = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|e| format!("{}: {e}", path.display()))?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .tls_config(tls.build())
            .build();
        Ok(Self { base, agent: config.into(), kept: Mutex::default() })
    }

    fn fetch(&self, platform: ClaimedPlatform) -> Result<Collateral, String> {
        let fmspc = hex::encode_upper(platform.fmspc);
        let tcb = self.get(&format!("tcb?fmspc={fmspc}"))?;
        let qe = self.get("qe/identity")?;
        let pck = self.get(&format!("pckcrl?ca={}&encoding=der", platform.ca))?;
        let root = match self.ask(&format!("{}/rootcacrl", self.base))? {
            answer if answer.response.status() == 404 => self.accepted(INTEL_ROOT_CRL)?,
            answer => answer.accepted(&format!("{}/rootcacrl", self.base))?,
        };
        Collateral::from_pcs(&PcsAnswers {
            tcb_info: &tcb.body,
            // The service renamed it with version 4; not every cache did.
            tcb_info_issuer_chain: &tcb.chain(&["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"])?,
            qe_identity: &qe.body,
            qe_identity_issuer_chain: &qe.chain(&["SGX-Enclave-Identity-Issuer-Chain"])?,
            pck_crl: &pck.body,
            pck_crl_issuer_chain: &pck.chain(&["SGX-PCK-CRL-Issuer-Chain"])?,
            root_ca_crl: &root.body,
        })
        .map_err(|e| format!("{}: {e}", self.base))
    }

    fn get(&self, what: &str) -> Result<Answer, String> {
        self.accepted(&format!("{}/{what}", self.base))
    }

    fn accepted(&self, url: &str) -> Result<Answer, String> {
        self.ask(url)?.accepted(url)
    }

    fn ask(&self, url: &str) -> Result<Answer, String> {
        let failed = |e: ureq::Error| format!("{url}: {e}");
        let mut response = self.agent.get(url).call().map_err(failed)?;
        let body = response.body_mut().with_config().limit(LIMIT).read_to_vec().map_err(failed)?;
        Ok(Answer { body, response })
    }
}

impl Answer {
    fn accepted(self, url: &str) -> Result<Self, String> {
        match self.response.status() {
            status if status.is_success() => Ok(self),
            status if status == 404 => {
                Err(format!("{url}: {status}: the service does not know this platform"))
            }
            status => Err(format!("{url}: {status}")),
        }
    }

    /// A certificate chain out of a header of one of these names.
    fn chain(&self, names: &[&str]) -> Result<String, String> {
        let value = names.iter().find_map(|name| self.response.headers().get(*name));
        let value = value.and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| format!("the service sent no header {}", names.join(" or ")))?;
        let text = urlencoding::decode(value).map_err(|e| format!("header {}: {e}", names.join(" or ")))?;
        Ok(text.into_owned())
    }
}
