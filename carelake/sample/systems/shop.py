"""The shop: orders as CSV, a file a month, and their lines as Parquet."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb

from carelake.sample import dirt, untidy
from carelake.sample.calendar import plain, slashed
from carelake.sample.chance import stream
from carelake.sample.company import Company
from carelake.sample.delivery import Delivery, Identifier, Record, as_csv, by_month
from carelake.sample.shopping import Order

SOURCE = """\
  - name: orders
    kind: files
    path: inbox/shop/orders-*.csv
    format: csv
    mode: append
    entity: orders
    columns:
      order_id: order_no
      customer_id: member_no
      email: buyer_email
      phone: buyer_phone
      ordered_at: placed_at
      amount: total
      currency: currency
      status: state
      store: shop
      updated_at: changed_at
    timestamps: ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M"]
    timezone: Asia/Shanghai
    region: CN
    owner: shop-team
    schedule: "@daily"
    tags: [shop]

  - name: order_lines
    kind: files
    path: inbox/shop/order_lines.parquet
    format: parquet
    mode: append
    entity: order_lines
    columns:
      order_line_id: line_no
      order_id: order_no
      product_id: sku
      product_name: title
      category: product_group
      quantity: qty
      unit_price: price
      ordered_at: placed_at
    timezone: Asia/Shanghai
    owner: shop-team
    schedule: "@daily"
    tags: [shop]
"""


def deliver(company: Company, delivery: Delivery) -> None:
    """Write orders, with earlier versions of some, and the lines of all of them."""
    records, moments = [], []
    for order in company.orders:
        for record, moment in _versions(company, order):
            records.append(record)
            moments.append(moment)
    rng = stream(company.seed, "dirt", "orders")
    files = []
    for number, (month, rows) in enumerate(by_month(records, moments)):
        rows = dirt.repeat(rng, rows, 0.006)
        files.append((month, dirt.plant(rows, _SPOILERS) if number == 0 else rows))
    for month, rows in dirt.overlap(files):
        delivery.write("orders", f"inbox/shop/orders-{month}.csv", rows, as_csv())
    if company.orders:
        lines = dirt.plant(_lines(company), [dirt.no_key("line_no", "order_line_id")])
        delivery.write("order_lines", "inbox/shop/order_lines.parquet", lines, _as_parquet)


_SPOILERS: list[dirt.Spoiler] = [
    dirt.field("order_no", "placed_at", "31/02/2024", "ordered_at is not a time"),
    dirt.line("too many fields"),
    dirt.no_key("order_no", "order_id"),
    dirt.field("order_no", "total", "n/a", "amount is not a number"),
    dirt.line("too few fields"),
]


def _versions(company: Company, order: Order) -> list[tuple[Record, datetime]]:
    rng = stream(company.seed, "order rows", order.order_id)
    person = order.person
    member = person.crm_id if person.crm_id and rng.random() < 0.85 else None
    email = rng.choice(person.emails) if person.emails and rng.random() < 0.75 else ""
    phone = rng.choice(person.phones) if person.phones and rng.random() < 0.55 else ""
    if not (member or email or phone):
        email, phone = (person.emails[0], "") if person.emails else ("", person.phones[0])
    who: list[Identifier] = [("crm", member)] if member else []
    who += [("email", email)] if email else []
    who += [("phone", phone)] if phone else []
    write = plain if rng.random() < 0.8 else slashed
    settled = order.changed_at <= company.end
    final = Record(
        key=order.order_id,
        version=plain(order.changed_at if settled else order.ordered_at),
        who=tuple(who),
        values={
            "order_no": order.order_id,
            "member_no": member,
            "buyer_email": untidy.email(rng, email) if email else "",
            "buyer_phone": untidy.phone(rng, phone) if phone else "",
            "placed_at": write(order.ordered_at),
            "total": untidy.amount(rng, order.amount),
            "currency": "CNY",
            "state": order.status if settled else "paid",
            "shop": order.store,
            "changed_at": plain(order.changed_at if settled else order.ordered_at),
        },
    )
    if not settled:
        return [(final, order.ordered_at)]
    if rng.random() > 0.09:
        return [(final, order.changed_at)]
    placed = plain(order.ordered_at)
    early = replace(
        final,
        version=placed,
        values={**final.values, "state": "paid", "changed_at": placed},
    )
    return [(early, order.ordered_at), (final, order.changed_at)]


def _lines(company: Company) -> list[Record]:
    return [
        Record(
            key=f"{order.order_id}-{line.number}",
            values={
                "line_no": f"{order.order_id}-{line.number}",
                "order_no": order.order_id,
                "sku": line.product.product_id,
                "title": line.product.zh,
                "product_group": line.product.category,
                "qty": line.quantity,
                "price": f"{line.product.price:.2f}",
                "placed_at": plain(order.ordered_at),
            },
        )
        for order in company.orders
        for line in order.lines
    ]


def _as_parquet(records: tuple[Record, ...]) -> bytes:
    """Encode records as Parquet with types of its own; one thread, so that bytes repeat."""
    types = {"qty": "integer", "price": "decimal(12, 2)", "placed_at": "timestamp"}
    names = list(records[0].values)
    columns = [[record.values[name] for record in records] for name in names]
    select = ", ".join(
        f"unnest(${place})::{types.get(name, 'varchar')} as {name}"
        for place, name in enumerate(names, start=1)
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.execute(f"create table lines as select {select}", columns)
        path = Path(folder) / "lines.parquet"
        connection.execute(f"copy lines to '{path}' (format parquet)")
        return path.read_bytes()
