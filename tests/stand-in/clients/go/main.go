// A day of a small shop, by stripe-go. Prints what it saw as JSON; the other clients here do the same.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"sync"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

type seen struct {
	SameSession   bool     `json:"same_session"`
	AmountTotal   int64    `json:"amount_total"`
	PaymentStatus string   `json:"payment_status"`
	Net           int64    `json:"net"`
	Refund        string   `json:"refund"`
	Events        []string `json:"events"`
	ForgedRefused bool     `json:"forged_refused"`
	Declined      []any    `json:"declined"`
	Unsupported   int      `json:"unsupported"`
	Customers     int      `json:"customers"`
	Found         []string `json:"found"`
	Setup         string   `json:"setup"`
	Pending       int64    `json:"pending"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// hook takes deliveries and keeps the types of those that were signed.
type hook struct {
	sync.Mutex
	secret string
	types  []string
	forged int
}

func (h *hook) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	body := must(io.ReadAll(request.Body))
	signature := request.Header.Get("Stripe-Signature")
	h.Lock()
	defer h.Unlock()
	// Events come in the stand-in's own API version, which is newer than this library's.
	options := webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true}
	event := must(webhook.ConstructEventWithOptions(body, signature, h.secret, options))
	h.types = append(h.types, string(event.Type))
	if _, err := webhook.ConstructEventWithOptions(append(body, ' '), signature, h.secret, options); err != nil {
		h.forged++
	}
}

func control(url, path string, body any) {
	text := must(json.Marshal(body))
	response := must(http.Post(url+"/_control/"+path, "application/json", bytes.NewReader(text)))
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		panic(string(must(io.ReadAll(response.Body))))
	}
}

func statusOf(err error) *stripe.Error {
	var failure *stripe.Error
	if !errors.As(err, &failure) {
		panic(fmt.Sprintf("no refusal: %v", err))
	}
	return failure
}

func main() {
	url, key := os.Args[1], os.Args[2]
	ctx := context.Background()
	backends := stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0),
		URL:               stripe.String(url),
	})
	client := stripe.NewClient(key, stripe.WithBackends(backends))

	receiver := &hook{}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go http.Serve(listener, receiver)
	endpoint := must(client.V1WebhookEndpoints.Create(ctx, &stripe.WebhookEndpointCreateParams{
		URL:           stripe.String("http://" + listener.Addr().String() + "/hook"),
		EnabledEvents: stripe.StringSlice([]string{"checkout.session.completed", "charge.refunded"}),
	}))
	receiver.secret = endpoint.Secret

	product := must(client.V1Products.Create(ctx, &stripe.ProductCreateParams{Name: stripe.String("Silk tie")}))
	price := must(client.V1Prices.Create(ctx, &stripe.PriceCreateParams{
		Product:    stripe.String(product.ID),
		Currency:   stripe.String("usd"),
		UnitAmount: stripe.Int64(5900),
	}))
	order := func() *stripe.CheckoutSession {
		params := &stripe.CheckoutSessionCreateParams{
			Mode:       stripe.String("payment"),
			SuccessURL: stripe.String("http://shop.test/done"),
			LineItems: []*stripe.CheckoutSessionCreateLineItemParams{
				{Price: stripe.String(price.ID), Quantity: stripe.Int64(2)},
			},
			Metadata: map[string]string{"order": "1001"},
		}
		params.SetIdempotencyKey("order-1001")
		return must(client.V1CheckoutSessions.Create(ctx, params))
	}
	session, again := order(), order()
	control(url, "pay", map[string]string{"session": session.ID})
	look := &stripe.CheckoutSessionRetrieveParams{}
	look.AddExpand("payment_intent.latest_charge.balance_transaction")
	paid := must(client.V1CheckoutSessions.Retrieve(ctx, session.ID, look))
	refund := must(client.V1Refunds.Create(ctx, &stripe.RefundCreateParams{
		PaymentIntent: stripe.String(paid.PaymentIntent.ID),
		Amount:        stripe.Int64(500),
	}))
	control(url, "flush", map[string]string{})

	_, err := client.V1PaymentIntents.Create(ctx, &stripe.PaymentIntentCreateParams{
		Amount:        stripe.Int64(2000),
		Currency:      stripe.String("usd"),
		Confirm:       stripe.Bool(true),
		PaymentMethod: stripe.String("pm_card_chargeDeclinedInsufficientFunds"),
		AutomaticPaymentMethods: &stripe.PaymentIntentCreateAutomaticPaymentMethodsParams{
			Enabled:        stripe.Bool(true),
			AllowRedirects: stripe.String("never"),
		},
	})
	declined := statusOf(err)
	_, err = client.V1Invoices.Create(ctx, &stripe.InvoiceCreateParams{})
	unsupported := statusOf(err)

	for _, name := range []string{"a", "b", "c"} {
		must(client.V1Customers.Create(ctx, &stripe.CustomerCreateParams{
			Name:     stripe.String(name),
			Metadata: map[string]string{"kind": "letter"},
		}))
	}
	customers := 0
	page := &stripe.CustomerListParams{}
	page.Limit = stripe.Int64(2)
	for _, err := range client.V1Customers.List(ctx, page).All(ctx) {
		must(true, err)
		customers++
	}
	var found []string
	search := &stripe.CustomerSearchParams{}
	search.Query = "metadata['kind']:'letter' AND -name:'b'"
	for customer, err := range client.V1Customers.Search(ctx, search).All(ctx) {
		found = append(found, must(customer, err).Name)
	}
	setup := must(client.V1SetupIntents.Create(ctx, &stripe.SetupIntentCreateParams{
		Confirm:       stripe.Bool(true),
		PaymentMethod: stripe.String("pm_card_visa"),
		AutomaticPaymentMethods: &stripe.SetupIntentCreateAutomaticPaymentMethodsParams{
			Enabled:        stripe.Bool(true),
			AllowRedirects: stripe.String("never"),
		},
	}))
	pending := int64(0)
	for _, part := range must(client.V1Balance.Retrieve(ctx, &stripe.BalanceRetrieveParams{})).Pending {
		if part.Currency == stripe.CurrencyUSD {
			pending = part.Amount
		}
	}

	receiver.Lock()
	defer receiver.Unlock()
	sort.Strings(receiver.types)
	text := must(json.Marshal(seen{
		SameSession:   session.ID == again.ID,
		AmountTotal:   paid.AmountTotal,
		PaymentStatus: string(paid.PaymentStatus),
		Net:           paid.PaymentIntent.LatestCharge.BalanceTransaction.Net,
		Refund:        string(refund.Status),
		Events:        receiver.types,
		ForgedRefused: receiver.forged == len(receiver.types),
		Declined:      []any{declined.Code, declined.DeclineCode, declined.HTTPStatusCode},
		Unsupported:   unsupported.HTTPStatusCode,
		Customers:     customers,
		Found:         found,
		Setup:         string(setup.Status),
		Pending:       pending,
	}))
	fmt.Println(string(text))
}
