#!/bin/sh
# The case study on one machine, from nothing: three banks, a lender, and a host that nobody trusts, a folder each.
#
#     sh examples/credit-scoring/demo.sh [BORROWERS [POSITIONS]]
#
# It builds what is not there (TWINE and PROGRAM name a `twine` and a folder of build.sh that are), and leaves nothing. It
# ends with 0 only if everything that should work did, and everything that should be refused was.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
borrowers=${1:-10}
positions=${2:-50000}
banks="alpha beta gamma"

if [ -z "${TWINE:-}" ]; then
    TWINE=$here/../../target/release/twine
    (cd "$here/../.." && cargo build --locked --release --package twine)
fi
if [ -z "${PROGRAM:-}" ]; then
    PROGRAM=$here/target/evidence
    sh "$here/build.sh" "$PROGRAM" --features evidence
fi

all=$(mktemp -d)
running=
leave() {
    status=$?
    trap - EXIT
    [ -z "$running" ] || kill $running 2>/dev/null || :
    wait
    rm -rf "$all"
    exit $status
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# The simulated processor and the cache are the demo's own.
export XDG_STATE_HOME="$all/state" XDG_CACHE_HOME="$all/cache"
unset TWINE_TEE TWINE_VOLUME_KEY
cd "$all"

say() { printf '\n== %s\n' "$*"; }
fail() {
    echo "demo.sh: $*" >&2
    exit 1
}
# twine ARGS: prints the command too.
twine() {
    echo "$ twine $*" >&2
    "$TWINE" "$@"
}
# refused CODE COMMAND: it must end with this code.
refused() {
    expected=$1 code=0
    shift
    "$@" || code=$?
    [ "$code" = "$expected" ] || fail "$* ended with $code, and not with $expected"
    echo "   (refused, exit code $code)"
}
# field NAME: a line of `twine measure` or `twine key`, on standard input.
field() { sed -n "s/^$1  *\([^ ]*\)$/\1/p"; }
# address NAME WORDS: waits for the line with these words in what NAME says, and takes the address at its end.
address() {
    while read -r line; do
        case $line in *"$2"*) break ;; esac
        echo "$line" >>"$1.log"
    done <&3
    address=${line##* }
    [ -n "$address" ] || fail "$1 did not start: $(cat "$1.log")"
    # What it says from now on must not fill the pipe.
    cat <&3 >>"$1.log" &
    exec 3<&-
}

say "Banks and lender make their keys and volumes"
for party in $banks lender; do
    mkdir "$party"
    twine key create --kind owner "$party/owner.pem" | field owner >"$party/public"
    twine key create --kind volume "$party/volume.key" >/dev/null
    printf 'version = 1\n[keys]\n%s = "volume.key"\n' "$party" >"$party/secrets.toml"
done
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >lender/nonce
printf '[env]\nNONCE = "nonce"\n' >>lender/secrets.toml

mkdir -p agreed/market host
"$PROGRAM/credit-scoring" generate --borrowers "$borrowers" --positions "$positions" data
mv data/market.json agreed/market/
for bank in $banks; do
    mv "data/$bank.positions" "$bank/positions"
    twine volume create --key "$bank/volume.key" "host/$bank.volume" >/dev/null
    twine volume cp --key "$bank/volume.key" "$bank/positions" "host/$bank.volume::/positions"
done
twine volume create --key lender/volume.key host/lender.volume >/dev/null

say "They agree on a workload: program, arguments, market, and whose keys count"
cp "$PROGRAM/credit-scoring.wasm" agreed/
{
    cat "$here/twine.toml"
    for party in $banks lender; do
        printf '\n[[workload.delivery]]\nname = "%s"\nkey = "%s"\n' "$party" "$(cat "$party/public")"
    done
    # What the program prints is the lender's: its delivery is the last.
    echo 'output = true'
} >agreed/twine.toml
twine measure --manifest agreed/twine.toml >measured
grep -v '^ ' measured
cat >policy.toml <<END
version = 1
[[enclave.image]]
mrenclave = "$(field MRENCLAVE <measured)"
mrsigner = "$(field MRSIGNER <measured)"
[workload]
digest = ["$(field CONFIGID <measured)"]
[evidence]
insecure_simulation = true             # on hardware this line goes
END
for party in $banks lender; do cp policy.toml "$party/"; done
cp -r agreed/. host/

say "Each bank serves its key to that workload and to no other"
services=
for bank in $banks; do
    cat >"$bank/keys.toml" <<END
version = 1
listen = "127.0.0.1:0"
key = "owner.pem"
audit = "audit.jsonl"
[[workload]]
name = "credit-scoring"
manifest = "../agreed/twine.toml"
policy = "policy.toml"
secrets = "secrets.toml"
END
    mkfifo "$bank.says"
    "$TWINE" keys serve --config "$bank/keys.toml" >"$bank.out" 2>"$bank.says" &
    running="$running $!"
    exec 3<"$bank.says"
    address "$bank" "releasing keys"
    echo "$bank: $address"
    services="$services --key-service $bank=$address"
done

# run: the host starts the enclave, the lender delivers and waits for the output; ends with the lender's code.
run() {
    rm -f host.says
    mkfifo host.says
    echo "host\$ twine run --tee sim --manifest host/twine.toml --await-owner 127.0.0.1:0$services"
    "$TWINE" run --tee sim --manifest host/twine.toml --await-owner 127.0.0.1:0 $services >host.out 2>host.says &
    host=$!
    running="$running $host"
    exec 3<host.says
    : >host.log
    address host "waiting for"
    code=0
    echo "lender\$ twine deploy ... $address"
    "$TWINE" deploy --allow-simulation --manifest agreed/twine.toml --policy lender/policy.toml --key lender/owner.pem \
        --secrets lender/secrets.toml "$address" || code=$?
    wait "$host" || :
    [ ! -s host.out ] || fail "the host was given output: $(cat host.out)"
    return $code
}

say "The host runs it; the lender delivers last and gets the output"
run || fail "the run ended with $?: $(cat host.log)"

say "The lender reads its volume and checks what it was told"
for name in report.json statement.json statement.evidence; do
    twine volume cat --key lender/volume.key "host/lender.volume::/$name" >"lender/$name"
done
cat lender/statement.json
grep -q "$(sha256sum <lender/report.json | cut -d' ' -f1)" lender/statement.json || fail "the report is another"
verify() {
    "$TWINE" verify "lender/statement.evidence" --policy "$1/policy.toml" --manifest agreed/twine.toml \
        --nonce "$(cat lender/nonce)" --program-data "$2" --allow-simulation
}
verify lender lender/statement.json

say "Each bank checks statement, evidence, and that its own positions went into it"
for bank in $banks; do
    verify "$bank" lender/statement.json >/dev/null || fail "$bank does not accept the statement"
    book=$("$PROGRAM/credit-scoring" digest positions --market agreed/market/market.json "$bank/positions")
    grep -q "$book" lender/statement.json || fail "the statement is not about the positions of $bank"
    echo "$bank: $book"
done

say "The host reads what it keeps: nothing, and nobody else's key opens it"
! grep -q -a -e net_worth -e POSITION host/*.volume || fail "something in a volume is in clear"
refused 77 "$TWINE" volume cat --key alpha/volume.key host/lender.volume::/report.json

say "The host asks for one path of simulation instead of many: no key for such a workload"
sed 's|"--report"|"--paths", "1", "--report"|' agreed/twine.toml >host/other.toml
refused 77 timeout 60 "$TWINE" run --tee sim --manifest host/other.toml --await-owner 127.0.0.1:0 $services
grep -h '"refused"' alpha/audit.jsonl | sed 's/.*"reason":"\([^"]*\)".*/   alpha'"'"'s log: \1/'

say "The host changes a bank's volume"
kilobytes=$(($(wc -c <host/beta.volume) / 1024))
cp host/beta.volume kept
tr '\0' '\377' </dev/zero | dd of=host/beta.volume bs=1024 seek=64 count=$((kilobytes - 64)) iflag=fullblock conv=notrunc 2>/dev/null
refused 65 run
mv kept host/beta.volume

say "Somebody changes the statement"
sed 's/"paths": [0-9]*/"paths": 1000000/' lender/statement.json >forged.json
refused 1 verify lender forged.json

say "Everything as it should be"
