//! What it costs to write and read a message: the fixed fields of its frame, its payload in MessagePack, and
//! LZ4 around that.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hew_wire::compression::{Compressed, Compressor};
use hew_wire::frame::{Frame, MessageHead};
use hew_wire::payload::{decode_payload, encode_payload};
use hew_wire::{NodeId, Pid};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

#[derive(Serialize, Deserialize)]
enum Order {
    Cancel,
    Place { item: u64, price: f64, buyer: String },
}

fn frames(criterion: &mut Criterion) {
    let head = MessageHead {
        target: Pid::new(NodeId::from_raw(2), 77),
        source: Pid::new(NodeId::from_raw(1), 78),
        msg_type: 3,
        reply: None,
    };
    let payload = [7; 64];
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::with_capacity(1 << 16);
    group.bench_function("write_64", |bencher| {
        bencher.iter(|| {
            if out.len() > 60_000 {
                out.clear();
            }
            head.write(&mut out, 1, black_box(&payload));
        });
    });
    let mut bytes = Vec::new();
    head.write(&mut bytes, 1, &payload);
    group.bench_function("read_64", |bencher| {
        bencher.iter(|| {
            let (frame, _) = Frame::split(black_box(&bytes)).expect("a whole frame");
            MessageHead::decode(&frame).expect("a whole head").0
        });
    });
    group.finish();
}

fn payloads(criterion: &mut Criterion) {
    let order = Order::Place { item: 7, price: 12.5, buyer: "somebody with a name".into() };
    let mut group = criterion.benchmark_group("payload");
    let mut out = Vec::with_capacity(128);
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_payload(black_box(&order), &mut out).expect("it can be encoded")
        });
    });
    let mut bytes = Vec::new();
    let msg_type = encode_payload(&order, &mut bytes).expect("it can be encoded");
    group.bench_function("decode", |bencher| {
        bencher.iter(|| match decode_payload::<Order>(msg_type, black_box(&bytes)) {
            Ok(Order::Place { item, .. }) => item,
            Ok(Order::Cancel) | Err(_) => unreachable!("it was encoded above"),
        });
    });
    group.finish();
}

/// Payloads of 64 KiB: one that shrinks to about a third, and one that does not shrink.
fn compression(criterion: &mut Criterion) {
    const BYTES: usize = 64 << 10;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let line = |number: u64| format!("{number:08} node {} is up, {} members\n", next() % 7, next() % 60);
    let mut text = (0..).map(line).take(BYTES / 30 + 1).collect::<String>().into_bytes();
    text.truncate(BYTES);
    let noise: Vec<u8> = (0..BYTES).map(|_| next() as u8).collect();
    let mut group = criterion.benchmark_group("lz4");
    group.throughput(Throughput::Bytes(BYTES as u64));
    let mut compressor = Compressor::default();
    for (name, payload) in [("compress_text", &text), ("compress_noise", &noise)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| compressor.compress(black_box(payload)).map(<[u8]>::len));
        });
    }
    let compressed = compressor.compress(&text).expect("it shrinks").to_vec();
    let mut room = Vec::new();
    group.bench_function("decompress_text", |bencher| {
        bencher.iter(|| {
            let compressed = Compressed::decode(black_box(&compressed)).expect("it has a size");
            compressed.decompress(BYTES, &mut room).expect("it was compressed above").len()
        });
    });
    group.finish();
}

criterion_group!(benches, frames, payloads, compression);
criterion_main!(benches);
