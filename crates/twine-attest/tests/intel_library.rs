//! Intel's own verification library as an independent judge of the same evidence.
//!
//! Run with `TWINE_QVL_PYTHON=<python with the package> cargo test -p twine-attest --test intel_library -- --ignored`.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use common::{NOW, Platform, Random, SAMPLE_TIME, hex, sample};
use serde_json::{Value, json};
use twine_attest::{Collateral, Quote, Verifier, sim};

/// What a judge says: the TCB status of authentic evidence, or why it is none.
type Verdict = Result<String, String>;

struct IntelsLibrary {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl IntelsLibrary {
    fn start() -> Self {
        let python = std::env::var("TWINE_QVL_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut child = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/intel_qvl.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{python}: {e}"));
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn verify(
        &mut self,
        quote: &[u8],
        pck_chain: &[Vec<u8>],
        root: &[u8],
        collateral: &Value,
        at: u64,
    ) -> Verdict {
        let chain: Vec<_> = pck_chain.iter().map(|der| hex(der)).collect();
        let case = json!({
            "quote": hex(quote), "pck_chain": chain, "root": hex(root), "collateral": collateral, "at": at,
        });
        writeln!(self.input, "{case}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let verdict: Value =
            serde_json::from_str(&line).expect("the package sgx-dcap-quote-verify-python is there");
        if verdict["collateral"] != "" {
            return Err(verdict["collateral"].as_str().unwrap().into());
        }
        let status = match verdict["quote"].as_str().unwrap() {
            "STATUS_OK" => "UpToDate",
            "STATUS_TCB_OUT_OF_DATE" => "OutOfDate",
            "STATUS_TCB_SW_HARDENING_NEEDED" => "SWHardeningNeeded",
            "STATUS_TCB_CONFIGURATION_NEEDED" => "ConfigurationNeeded",
            "STATUS_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED" => "ConfigurationAndSWHardeningNeeded",
            "STATUS_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED" => "OutOfDateConfigurationNeeded",
            other => return Err(other.into()),
        };
        Ok(status.into())
    }
}

impl Drop for IntelsLibrary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours(quote: &[u8], collateral: &Value, at: u64) -> Verdict {
    let quote = Quote::parse(quote).map_err(|e| e.to_string())?;
    let collateral = Collateral::from_json(collateral.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let verifier = Verifier::new().insecure_allow_simulation(true);
    let verified = verifier.verify(&quote, &collateral, at).map_err(|e| e.to_string())?;
    Ok(verified.tcb_status().to_string())
}

/// Both judges on the evidence, and on it with bytes changed wherever both read the same bytes.
fn compare(
    library: &mut IntelsLibrary,
    name: &str,
    quote: &[u8],
    collateral: &Collateral,
    at: u64,
) -> Verdict {
    let collateral: Value = serde_json::from_str(&collateral.to_json()).unwrap();
    let chain = Quote::parse(quote).unwrap().pck_chain().to_vec();
    let root = chain.last().unwrap().clone();
    let verdict = ours(quote, &collateral, at);
    let theirs = library.verify(quote, &chain, &root, &collateral, at);
    assert_eq!(verdict.clone().ok(), theirs.clone().ok(), "{name}: {verdict:?} against {theirs:?}");

    let mut random = Random::new();
    let mut compared = 1;
    // The quote up to its certificates, which Intel's library is given apart.
    let certificates = quote.windows(5).position(|window| window == b"-----").unwrap();
    for at_byte in 0..certificates {
        let mut changed = quote.to_vec();
        changed[at_byte] ^= random.flip();
        let (verdict, theirs) =
            (ours(&changed, &collateral, at), library.verify(&changed, &chain, &root, &collateral, at));
        assert_eq!(
            verdict.clone().ok(),
            theirs.clone().ok(),
            "{name}, byte {at_byte}: {verdict:?}, {theirs:?}"
        );
        compared += 1;
    }
    for field in
        ["tcb_info", "tcb_info_signature", "qe_identity", "qe_identity_signature", "root_ca_crl", "pck_crl"]
    {
        let text = collateral[field].as_str().unwrap();
        for _ in 0..100 {
            // Digits become other digits, letters other letters: what is left parses, and no signature fits.
            let at_byte = random.next() as usize % text.len();
            let mut bytes = text.as_bytes().to_vec();
            bytes[at_byte] = match bytes[at_byte] {
                b'0' => b'1',
                b'1'..=b'9' => bytes[at_byte] - 1,
                b'a' => b'b',
                b'b'..=b'z' => bytes[at_byte] - 1,
                _ => continue,
            };
            let mut changed = collateral.clone();
            changed[field] = String::from_utf8(bytes).unwrap().into();
            let (verdict, theirs) =
                (ours(quote, &changed, at), library.verify(quote, &chain, &root, &changed, at));
            assert_eq!(
                verdict.clone().ok(),
                theirs.clone().ok(),
                "{name}, {field} byte {at_byte}: {verdict:?}, {theirs:?}"
            );
            compared += 1;
        }
    }
    println!("{name}: {verdict:?}; {compared} cases agree");
    verdict
}

#[test]
#[ignore = "needs the PyPI package sgx-dcap-quote-verify-python, see the head of this file"]
fn intels_library_agrees() {
    let mut library = IntelsLibrary::start();
    let (quote, collateral) = sample();
    let real =
        compare(&mut library, "sample", &quote, &Collateral::from_json(&collateral).unwrap(), SAMPLE_TIME);
    assert_eq!(real.unwrap(), "ConfigurationAndSWHardeningNeeded");

    let platform = Platform::default();
    let base = sim::collateral(NOW, sim::BASE_CPUSVN).unwrap();
    let simulated = compare(&mut library, "simulated", &platform.quote(), &base, NOW);
    assert_eq!(simulated.unwrap(), "UpToDate");
    let mut recovered = sim::BASE_CPUSVN;
    recovered[0] += 1;
    let after = sim::collateral(NOW, recovered).unwrap();
    let outdated = compare(&mut library, "simulated, below a recovery", &platform.quote(), &after, NOW);
    assert_eq!(outdated.unwrap(), "OutOfDate");
    let raised = Platform { cpusvn: recovered, debug: true, ..platform };
    let raised = compare(&mut library, "simulated, raised, debug", &raised.quote(), &after, NOW);
    assert_eq!(raised.unwrap(), "UpToDate");
}
