// Objects, strings, closures, numbers and a sort: what scripts do.
function random(seed) {
    return () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
}

function words(count) {
    const next = random(42), all = [];
    for (let i = 0; i < count; i++) {
        let word = "";
        for (let j = 0; j < 3 + next() * 6; j++) word += String.fromCharCode(97 + Math.floor(next() * 26));
        all.push(word);
    }
    return all;
}

function histogram(all) {
    const seen = new Map();
    for (const word of all) seen.set(word.slice(0, 2), (seen.get(word.slice(0, 2)) || 0) + 1);
    return [...seen.entries()].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5);
}

function primes(limit) {
    const composite = new Uint8Array(limit);
    let count = 0;
    for (let i = 2; i < limit; i++) {
        if (composite[i]) continue;
        count++;
        for (let j = i * i; j < limit; j += i) composite[j] = 1;
    }
    return count;
}

class Body {
    constructor(x, v, m) {
        Object.assign(this, { x, v, m });
    }
}

function orbit(steps) {
    const bodies = [new Body(0, 0, 1000), new Body(10, 3, 1), new Body(-20, -2, 2)];
    for (let step = 0; step < steps; step++) {
        for (const a of bodies)
            for (const b of bodies)
                if (a !== b) a.v += (0.0001 * b.m * (b.x - a.x)) / (1 + Math.abs(b.x - a.x) ** 3);
        for (const a of bodies) a.x += a.v * 0.0001;
    }
    return bodies.map(body => body.x.toFixed(6)).join(" ");
}

print(JSON.stringify(histogram(words(60000))));
print(primes(3000000));
print(orbit(120000));
const fib = n => (n < 2 ? n : fib(n - 1) + fib(n - 2));
print(fib(28));
