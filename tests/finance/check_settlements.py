#!/usr/bin/env python3
"""Settlements, computed again from the tables of a SQLite store and from nothing of the program.

Usage: check_settlements.py STORE OUT

For every closed settlement: which entries of the journal belong to it, their volumes and fees by
the terms of their time, discount and conversion with exact fractions, the reserve, the transfer and
what is carried forward; held against the stored row and the aggregate file. In the end every money
event of the journal until the last period's end must have been in exactly one settlement.
"""

import csv
import datetime
import json
import pathlib
import sqlite3
import sys
from decimal import ROUND_HALF_UP, Decimal, getcontext

getcontext().prec = 60
CENT = Decimal("0.01")


def rounded(value):
    # ROUND_HALF_UP of decimal goes away from zero.
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def cursor(text):
    words = text.split(".")
    assert words[0] == "j1", text
    return {int(s, 16): int(q, 16) for s, q in (word.split("-") for word in words[1:])}


def day_of(micros):
    utc = datetime.timezone.utc
    return datetime.datetime.fromtimestamp(micros // 1_000_000, utc).date().isoformat()


def terms_at(contract, day):
    found = [terms for terms in contract["terms"] if terms["valid_from"] <= day]
    return found[-1] if found else None


def fixed(fees, due):
    out = {}
    for name in ("acquiring", "processing"):
        if fees[name]["due"] == due:
            out[name.upper() + "_FEE"] = Decimal(fees[name]["amount"])
    if due == "success":
        out["SUCCEEDED_FEE"] = Decimal(fees["succeeded"])
    return {name: amount for name, amount in out.items() if amount}


def settle(manifest, events):
    """Rows of the aggregate, by contract and kind, and the reserve of each contract."""
    basis = manifest["basis"]
    rate, rows, held = Decimal(basis["rate"]["rate"]), {}, {}
    for contract in basis["contracts"]:
        name = contract["contract"]
        sums = {}

        def add(kind, amount):
            count, total = sums.get(kind, (0, Decimal(0)))
            sums[kind] = (count + 1, total + amount)

        for kind, at, sen in (e[1:] for e in events if e[0] == name):
            terms = terms_at(contract, day_of(at))
            if terms is None:
                continue
            amount = Decimal(sen or 0) / 100
            if kind == "charged_back":
                # In sets that know chargebacks; of a partial one nobody says how much.
                if basis.get("edition", 1) > 1:
                    add("CHARGEBACK", amount)
                continue
            side = "refund" if kind.startswith("refund") else "payment"
            done = kind in (
                "succeeded", "succeeded_late", "refund_succeeded", "refunded_elsewhere")
            if done:
                add("REFUND" if side == "refund" else "TRANSACTION", amount)
            if done and side == "payment" and terms["discount_basis_points"]:
                add("DISCOUNT_FEE", amount * terms["discount_basis_points"] / 10_000)
            for fee, cost in fixed(terms[side], "success" if done else "start").items():
                add(fee, cost)
        end = terms_at(contract, basis["last_day"])
        divisor = rate * (10_000 + end["margin_basis_points"]) / 10_000
        paid, back = sums.get("TRANSACTION", (0, Decimal(0))), sums.get("REFUND", (0, Decimal(0)))
        taken = sums.get("CHARGEBACK", (0, Decimal(0)))
        cleared, count = Decimal(0), paid[0] + back[0] + taken[0]
        if count:
            cleared = rounded((paid[1] - back[1] - taken[1]) / divisor)
            rows[name, "CLEARED_TO_MERCHANT"] = (count, cleared)
        for kind, (count, total) in sums.items():
            if kind == "TRANSACTION":
                rows[name, kind] = (count, total)
            elif kind == "DISCOUNT_FEE":
                rows[name, kind] = (count, -rounded(total / divisor))
            else:
                rows[name, kind] = (count, -total)
        if name not in basis["before"]["set_up"] and Decimal(end["setup_fee"]):
            rows[name, "MERCHANT_SETUP_FEE"] = (1, -Decimal(end["setup_fee"]))
        last = datetime.date.fromisoformat(basis["last_day"])
        if (last + datetime.timedelta(1)).day == 1 and Decimal(end["monthly_fee"]):
            rows[name, "MERCHANT_MONTHLY_FEE"] = (1, -Decimal(end["monthly_fee"]))
        share = rounded(max(cleared, Decimal(0)) * end["reserve_basis_points"] / 10_000)
        if share:
            held[name] = share
    for one in basis["adjustments"]:
        key = one["contract"], "ADJUSTMENT"
        count, amount = rows.get(key, (0, Decimal(0)))
        rows[key] = (count + 1, amount + Decimal(one["amount"]))
    return rows, held


def balance(manifest, rows, held):
    """Opening, reserve, transfer and carry-forward."""
    basis = manifest["basis"]
    volumes = ("TRANSACTION", "REFUND", "CHARGEBACK")
    total = sum((a for (_, kind), (_, a) in rows.items() if kind not in volumes), Decimal(0))
    opening = Decimal(basis["before"]["carry_forward"])
    released = sum(
        (Decimal(one["amount"]) for one in basis["before"]["reserves"]
         if one["release_on"] <= basis["last_day"]), Decimal(0))
    reserve = released - sum(held.values(), Decimal(0))
    first = basis["contracts"][0]
    terms = terms_at(first, basis["last_day"])
    wire, due = Decimal(terms["wire_fee"]), total + opening + reserve
    paid = due - wire
    if paid <= 0 or paid < Decimal(terms["minimum_transfer"]):
        return opening, reserve, Decimal(0), due
    if wire:
        rows[first["contract"], "WIRE_FEE"] = (1, -wire)
    return opening, reserve, paid, Decimal(0)


def aggregate(path):
    found = {}
    for row in csv.reader(path.open(encoding="utf-8")):
        if len(row) == 6 and row[0] != "MERCHANT_ID":
            count, amount = found.get((row[0], row[2]), (0, Decimal(0)))
            found[row[0], row[2]] = (count + int(row[3]), amount + Decimal(row[4]))
    return found


def main(store, out):
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    journal = db.execute(
        "SELECT j.shard, j.seq, j.at, j.kind, coalesce(r.contract, p.contract), j.amount_sen"
        " FROM journal j JOIN payments p ON p.tx_id = j.tx_id"
        " LEFT JOIN refunds r ON r.refund_id = j.refund_id"
        " WHERE p.channel = 'livechannel' AND j.kind IN"
        " ('opened', 'succeeded', 'succeeded_late', 'refund_requested', 'refund_succeeded',"
        " 'refunded_elsewhere', 'charged_back')"
    ).fetchall()
    taken, checked, before = {}, 0, {}
    rows = db.execute(
        "SELECT entity, client_number, ordinal, until_at, opening, reserve, transfer,"
        " carry_forward, read_to, manifest FROM settlements"
        " ORDER BY entity, client_number, ordinal")
    for entity, client, ordinal, until, *amounts, read_to, text in rows:
        manifest, read_to = json.loads(text), cursor(read_to)
        mine = {contract["contract"] for contract in manifest["basis"]["contracts"]}
        events = []
        for shard, seq, at, kind, contract, sen in journal:
            if (shard, seq) in taken.setdefault((entity, client), {}):
                continue
            if contract in mine and seq <= read_to.get(shard, 0) and at < until:
                taken[entity, client][shard, seq] = ordinal
                events.append((contract, kind, at, sen))
        wanted, held = settle(manifest, events)
        found = balance(manifest, wanted, held)
        assert [int(amount * 100) for amount in found] == amounts, (manifest["set"], found, amounts)
        name = manifest["set"]
        listed = aggregate(pathlib.Path(out) / name / f"{name}-aggregate.csv")
        assert listed == wanted, (name, listed, wanted)
        before[entity, client] = (until, mine)
        checked += 1
    for account, (until, mine) in before.items():
        open_events = [
            (shard, seq) for shard, seq, at, _, contract, _ in journal
            if contract in mine and at < until and (shard, seq) not in taken[account]]
        assert not open_events, (account, open_events)
    print(f"{checked} settlements agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
