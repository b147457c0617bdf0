// Exercises the parts of Node.js that lean on malloc: V8's zones, Buffers outside its heap, zlib,
// OpenSSL, libuv's pool and worker threads. Prints only what is the same in every run.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const { promisify } = require('util');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

const digest = data => crypto.createHash('sha256').update(data).digest('hex');

function* numbers(seed) {
    for (;;) {
        seed = (seed * 16807) % 2147483647;
        yield seed;
    }
}

function records(seed, count) {
    const random = numbers(seed);
    return Array.from({ length: count }, (_, id) => ({
        id,
        name: `record ${random.next().value.toString(36)}`,
        values: Array.from({ length: 8 }, () => random.next().value),
    }));
}

function throughJson(seed) {
    const text = JSON.stringify(records(seed, 20000));
    const back = JSON.parse(text).filter(record => /7/.test(record.name));
    return `${text.length} ${back.length} ${digest(JSON.stringify(back))}`;
}

function buffers() {
    const random = numbers(7);
    const window = [];
    let sum = 0;
    for (let i = 0; i < 50000; i++) {
        const size = random.next().value % (i % 100 === 0 ? 1000000 : 5000);
        window[i % 200] = Buffer.alloc(size, i & 255);
        sum = (sum + window[i % 200].subarray(0, 10).length * i + size) % 1000003;
    }
    return `${sum} ${digest(Buffer.concat(window))}`;
}

async function compressed() {
    const text = Buffer.from(JSON.stringify(records(3, 5000)));
    const packed = await Promise.all(
        [1, 3, 6, 9].map(level => promisify(zlib.gzip)(text, { level })));
    const back = await Promise.all(packed.map(data => promisify(zlib.gunzip)(data)));
    return back.every(data => data.equals(text)) ? packed.map(digest).join('\n') : 'broken';
}

async function files() {
    const names = Array.from({ length: 200 }, (_, i) => `file${i}`);
    await Promise.all(names.map((name, i) => fs.promises.writeFile(name, 'x'.repeat(i * 500))));
    const data = await Promise.all(names.map(name => fs.promises.readFile(name)));
    return digest(Buffer.concat(data));
}

const inWorker = seed => new Promise((resolve, reject) =>
    new Worker(__filename, { workerData: seed }).once('message', resolve).once('error', reject));

async function main() {
    console.log('json:', throughJson(1));
    console.log('buffers:', buffers());
    console.log('compressed:\n' + await compressed());
    console.log('keys:', crypto.scryptSync('word', 'salt', 32, { N: 16384 }).toString('hex'));
    console.log('files:', await files());
    console.log('workers:\n' + (await Promise.all([1, 2, 3, 4, 5, 6].map(inWorker))).join('\n'));
}

if (isMainThread)
    main();
else
    parentPort.postMessage(throughJson(workerData));
