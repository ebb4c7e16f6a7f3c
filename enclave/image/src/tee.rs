//! The enclave as `twine_tee_v1` shows it to the program: report, quotes, sealing keys.

use twine_abi::calls::Collateral;
use twine_abi::wire::MAX_PAYLOAD;
use twine_enclave::identity::{self, SealTo, SealVersions};
use twine_enclave::{border, clock, random, stop_requested};
use twine_sgx::Report;
use twine_tee::{KeyRequest, NoQuote, Platform};
use twine_workload::{Clock as ClockPolicy, Digest};

use crate::request::Request;
use crate::{evidence, reader};

/// Most bytes of collateral.
const LIMIT: u64 = twine_tee::MAX_INPUT as u64;

/// This enclave, for the program of one request.
pub struct ThisEnclave {
    workload: Digest,
    clocks: bool,
}

impl ThisEnclave {
    pub fn of(request: &Request) -> Self {
        Self {
            workload: request.accepted().digest(),
            clocks: request.workload().clock != ClockPolicy::Denied,
        }
    }
}

impl Platform for ThisEnclave {
    fn report(&self) -> Report {
        identity::own_report()
    }

    fn workload(&self) -> Digest {
        self.workload
    }

    fn quote(&mut self, report_data: &[u8; 64]) -> Result<Vec<u8>, NoQuote> {
        evidence::quote(report_data).map_err(|error| NoQuote(error.to_string()))
    }

    fn collateral(&mut self, quote: &[u8]) -> Option<Vec<u8>> {
        if quote.len() > MAX_PAYLOAD {
            return None;
        }
        let collateral = reader::read(LIMIT, |offset, into| {
            let max = into.len() as u64;
            border::call(&Collateral { offset, max }, quote, into).map(|(reply, got)| (reply.total, got))
        });
        collateral.ok().flatten()
    }

    fn seal_key(&mut self, request: &KeyRequest) -> Option<[u8; 16]> {
        let to = match request.to {
            twine_tee::SealTo::Enclave => SealTo::Enclave,
            twine_tee::SealTo::Signer => SealTo::Signer,
        };
        let (isvsvn, configsvn, cpusvn) = (request.isv_svn, request.config_svn, request.cpu_svn);
        identity::seal_key(to, SealVersions { isvsvn, configsvn, cpusvn }, request.key_id).ok()
    }

    fn random(&mut self, buf: &mut [u8]) {
        random::fill(buf);
    }

    fn now(&self) -> Option<u64> {
        self.clocks.then(|| clock::realtime() / 1_000_000_000)
    }

    fn stop_requested(&self) -> bool {
        stop_requested()
    }
}
