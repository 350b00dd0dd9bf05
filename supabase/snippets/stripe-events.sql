-- Do Stripe's events arrive? A dead one needs redrive_webhook_event(), a fetched one was never delivered.
select type, status, events, last_day, fetched, last_delivered_at from reporting.webhook_health;
