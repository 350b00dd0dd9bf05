"""A day of a small shop, by stripe-python. Prints what it saw as JSON; the other clients here do the same."""

import json
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import stripe

url, key = sys.argv[1:3]
client = stripe.StripeClient(key, base_addresses={"api": url})

events = []
forged = []
secret = ""


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signature = self.headers["stripe-signature"]
        events.append(client.construct_event(body, signature, secret).type)
        try:
            client.construct_event(body + b" ", signature, secret)
        except stripe.SignatureVerificationError:
            forged.append(True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


hook = HTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=hook.serve_forever, daemon=True).start()
endpoint = client.v1.webhook_endpoints.create({
    "url": f"http://127.0.0.1:{hook.server_port}/hook",
    "enabled_events": ["checkout.session.completed", "charge.refunded"],
})
secret = endpoint.secret

product = client.v1.products.create({"name": "Silk tie"})
price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 5900})
order = {
    "mode": "payment",
    "success_url": "http://shop.test/done",
    "line_items": [{"price": price.id, "quantity": 2}],
    "metadata": {"order": "1001"},
}
session = client.v1.checkout.sessions.create(order, {"idempotency_key": "order-1001"})
again = client.v1.checkout.sessions.create(order, {"idempotency_key": "order-1001"})


def control(path, body):
    request = urllib.request.Request(f"{url}/_control/{path}", json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request).read()


control("pay", {"session": session.id})
paid = client.v1.checkout.sessions.retrieve(
    session.id, {"expand": ["payment_intent.latest_charge.balance_transaction"]}
)
refund = client.v1.refunds.create({"payment_intent": paid.payment_intent.id, "amount": 500})
control("flush", {})

by_card = {"enabled": True, "allow_redirects": "never"}
try:
    client.v1.payment_intents.create({
        "amount": 2000,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_chargeDeclinedInsufficientFunds",
        "automatic_payment_methods": by_card,
    })
    declined = None
except stripe.CardError as error:
    declined = [error.code, error.error.decline_code, error.http_status]
try:
    client.v1.invoices.create({})
    unsupported = None
except stripe.StripeError as error:
    unsupported = error.http_status

for name in ["a", "b", "c"]:
    client.v1.customers.create({"name": name, "metadata": {"kind": "letter"}})
listed = list(client.v1.customers.list({"limit": 2}).auto_paging_iter())
found = client.v1.customers.search({"query": "metadata['kind']:'letter' AND -name:'b'"})
setup = client.v1.setup_intents.create({
    "confirm": True,
    "payment_method": "pm_card_visa",
    "automatic_payment_methods": by_card,
})
balance = client.v1.balance.retrieve()

print(json.dumps({
    "same_session": session.id == again.id,
    "amount_total": paid.amount_total,
    "payment_status": paid.payment_status,
    "net": paid.payment_intent.latest_charge.balance_transaction.net,
    "refund": refund.status,
    "events": sorted(events),
    "forged_refused": len(forged) == len(events),
    "declined": declined,
    "unsupported": unsupported,
    "customers": len(listed),
    "found": [customer.name for customer in found.data],
    "setup": setup.status,
    "pending": next(part.amount for part in balance.pending if part.currency == "usd"),
}))
