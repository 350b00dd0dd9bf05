
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  
  "public": {
          Tables: {
            "alerts": {
                  Row: {
                    "count": number,"data": NonNullable<Json>,"dedupe_key": string,"first_at": string,"id": string,"kind": string,"last_at": string,"over_told_at": string | null,"severity": string,"status": string,"told_at": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "count"?: number,"data"?: NonNullable<Json>,"dedupe_key": string,"first_at"?: string,"id"?: string,"kind": string,"last_at"?: string,"over_told_at"?: string | null,"severity": string,"status"?: string,"told_at"?: string | null
                  }
                  Update: {
                    "count"?: number,"data"?: NonNullable<Json>,"dedupe_key"?: string,"first_at"?: string,"id"?: string,"kind"?: string,"last_at"?: string,"over_told_at"?: string | null,"severity"?: string,"status"?: string,"told_at"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"checkout_sessions": {
                  Row: {
                    "amount_discount": number | null,"amount_shipping": number | null,"amount_subtotal": number | null,"amount_tax": number | null,"amount_total": number | null,"async_payment_failed": boolean,"attempt": number | null,"awaited_payment": boolean,"billing_address": Json | null,"business": Json | null,"cart_hash": string | null,"closing_at": string | null,"completed_at": string | null,"contact_version": string,"created_at": string,"currency": string | null,"email": string | null,"expires_at": string,"id": string,"livemode": boolean,"metadata_order_id": string | null,"name": string | null,"order_id": string,"payment_id": string | null,"payment_status": string,"phone": string | null,"presentment_amount": number | null,"presentment_currency": string | null,"promotions_consent": string | null,"recovered_from": string | null,"shipping_address": Json | null,"shipping_name": string | null,"status": string,"stripe_customer_id": string | null,"terms_consent": string | null,"url": string | null,"version": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount_discount"?: number | null,"amount_shipping"?: number | null,"amount_subtotal"?: number | null,"amount_tax"?: number | null,"amount_total"?: number | null,"async_payment_failed"?: boolean,"attempt"?: number | null,"awaited_payment"?: boolean,"billing_address"?: Json | null,"business"?: Json | null,"cart_hash"?: string | null,"closing_at"?: string | null,"completed_at"?: string | null,"contact_version": string,"created_at"?: string,"currency"?: string | null,"email"?: string | null,"expires_at": string,"id": string,"livemode": boolean,"metadata_order_id"?: string | null,"name"?: string | null,"order_id": string,"payment_id"?: string | null,"payment_status": string,"phone"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"promotions_consent"?: string | null,"recovered_from"?: string | null,"shipping_address"?: Json | null,"shipping_name"?: string | null,"status": string,"stripe_customer_id"?: string | null,"terms_consent"?: string | null,"url"?: string | null,"version": string
                  }
                  Update: {
                    "amount_discount"?: number | null,"amount_shipping"?: number | null,"amount_subtotal"?: number | null,"amount_tax"?: number | null,"amount_total"?: number | null,"async_payment_failed"?: boolean,"attempt"?: number | null,"awaited_payment"?: boolean,"billing_address"?: Json | null,"business"?: Json | null,"cart_hash"?: string | null,"closing_at"?: string | null,"completed_at"?: string | null,"contact_version"?: string,"created_at"?: string,"currency"?: string | null,"email"?: string | null,"expires_at"?: string,"id"?: string,"livemode"?: boolean,"metadata_order_id"?: string | null,"name"?: string | null,"order_id"?: string,"payment_id"?: string | null,"payment_status"?: string,"phone"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"promotions_consent"?: string | null,"recovered_from"?: string | null,"shipping_address"?: Json | null,"shipping_name"?: string | null,"status"?: string,"stripe_customer_id"?: string | null,"terms_consent"?: string | null,"url"?: string | null,"version"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "checkout_sessions_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"customers": {
                  Row: {
                    "created_at": string,"email": string | null,"email_changes": number,"email_changes_told": number,"id": string,"livemode": boolean,"name": string | null,"stripe_customer_id": string | null,"stripe_deleted_at": string | null,"user_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"email"?: string | null,"email_changes"?: number,"email_changes_told"?: number,"id"?: string,"livemode"?: boolean,"name"?: string | null,"stripe_customer_id"?: string | null,"stripe_deleted_at"?: string | null,"user_id"?: string | null
                  }
                  Update: {
                    "created_at"?: string,"email"?: string | null,"email_changes"?: number,"email_changes_told"?: number,"id"?: string,"livemode"?: boolean,"name"?: string | null,"stripe_customer_id"?: string | null,"stripe_deleted_at"?: string | null,"user_id"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"dispute_decisions": {
                  Row: {
                    "created_at": string,"decision": string,"dispute_id": string,"reason": string,"round": string,"submissions": number
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"decision": string,"dispute_id": string,"reason": string,"round": string,"submissions": number
                  }
                  Update: {
                    "created_at"?: string,"decision"?: string,"dispute_id"?: string,"reason"?: string,"round"?: string,"submissions"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "dispute_decisions_dispute_id_fkey"
      columns: ["dispute_id"]
isOneToOne: false
      referencedRelation: "disputes"
      referencedColumns: ["id"]
    }
                  ]
                },"disputes": {
                  Row: {
                    "amount": number,"charge_id": string | null,"created_at": string,"currency": string,"evidence_due_by": string | null,"evidence_submission_count": number,"first_due_by": string | null,"funds_reinstated": boolean,"funds_reinstated_at": string | null,"funds_withdrawn": boolean,"has_evidence": boolean,"id": string,"livemode": boolean,"network_reason_code": string | null,"order_id": string | null,"payment_id": string | null,"reason": string,"status": string,"statuses_seen": (string)[],"version": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount": number,"charge_id"?: string | null,"created_at": string,"currency": string,"evidence_due_by"?: string | null,"evidence_submission_count"?: number,"first_due_by"?: string | null,"funds_reinstated"?: boolean,"funds_reinstated_at"?: string | null,"funds_withdrawn"?: boolean,"has_evidence"?: boolean,"id": string,"livemode": boolean,"network_reason_code"?: string | null,"order_id"?: string | null,"payment_id"?: string | null,"reason": string,"status": string,"statuses_seen": (string)[],"version": string
                  }
                  Update: {
                    "amount"?: number,"charge_id"?: string | null,"created_at"?: string,"currency"?: string,"evidence_due_by"?: string | null,"evidence_submission_count"?: number,"first_due_by"?: string | null,"funds_reinstated"?: boolean,"funds_reinstated_at"?: string | null,"funds_withdrawn"?: boolean,"has_evidence"?: boolean,"id"?: string,"livemode"?: boolean,"network_reason_code"?: string | null,"order_id"?: string | null,"payment_id"?: string | null,"reason"?: string,"status"?: string,"statuses_seen"?: (string)[],"version"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "disputes_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"fraud_signals": {
                  Row: {
                    "answer": string | null,"charge_id": string | null,"created_at": string,"data": NonNullable<Json>,"id": string,"kind": string,"open": boolean,"order_id": string | null,"payment_id": string | null,"released_at": string | null,"severity": string,"source_id": string | null,"version": string,"was_actionable": boolean
                  }
                  ComputedFields: never
                  Insert: {
                    "answer"?: string | null,"charge_id"?: string | null,"created_at"?: string,"data"?: NonNullable<Json>,"id"?: string,"kind": string,"open"?: boolean,"order_id"?: string | null,"payment_id"?: string | null,"released_at"?: string | null,"severity": string,"source_id"?: string | null,"version"?: string,"was_actionable"?: boolean
                  }
                  Update: {
                    "answer"?: string | null,"charge_id"?: string | null,"created_at"?: string,"data"?: NonNullable<Json>,"id"?: string,"kind"?: string,"open"?: boolean,"order_id"?: string | null,"payment_id"?: string | null,"released_at"?: string | null,"severity"?: string,"source_id"?: string | null,"version"?: string,"was_actionable"?: boolean
                  }
                  Relationships: [
                    {
      foreignKeyName: "fraud_signals_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"inventory_journal": {
                  Row: {
                    "actor": string,"change": number,"created_at": string,"id": number,"kind": string,"note": string | null,"order_id": string | null,"variant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "actor": string,"change": number,"created_at"?: string,"id"?: never,"kind": string,"note"?: string | null,"order_id"?: string | null,"variant_id": string
                  }
                  Update: {
                    "actor"?: string,"change"?: number,"created_at"?: string,"id"?: never,"kind"?: string,"note"?: string | null,"order_id"?: string | null,"variant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "inventory_journal_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "inventory_journal_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "inventory_levels"
      referencedColumns: ["variant_id"]
    }
                  ]
                },"inventory_levels": {
                  Row: {
                    "available": number | null,"committed": number,"on_hand": number,"reserved": number,"variant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "available"?: never,"committed"?: number,"on_hand"?: number,"reserved"?: number,"variant_id": string
                  }
                  Update: {
                    "available"?: never,"committed"?: number,"on_hand"?: number,"reserved"?: number,"variant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "inventory_levels_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: true
      referencedRelation: "availability"
      referencedColumns: ["variant_id"]
    },{
      foreignKeyName: "inventory_levels_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: true
      referencedRelation: "product_variants"
      referencedColumns: ["id"]
    }
                  ]
                },"inventory_reservations": {
                  Row: {
                    "expires_at": string,"id": string,"order_id": string,"quantity": number,"returned": number,"status": string,"updated_at": string,"variant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "expires_at": string,"id"?: string,"order_id": string,"quantity": number,"returned"?: number,"status"?: string,"updated_at"?: string,"variant_id": string
                  }
                  Update: {
                    "expires_at"?: string,"id"?: string,"order_id"?: string,"quantity"?: number,"returned"?: number,"status"?: string,"updated_at"?: string,"variant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "inventory_reservations_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "inventory_reservations_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "inventory_levels"
      referencedColumns: ["variant_id"]
    }
                  ]
                },"mail_suppressions": {
                  Row: {
                    "created_at": string,"email_hmac": string,"reason": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"email_hmac": string,"reason": string
                  }
                  Update: {
                    "created_at"?: string,"email_hmac"?: string,"reason"?: string
                  }
                  Relationships: [
                    
                  ]
                },"notifications": {
                  Row: {
                    "created_at": string,"data": NonNullable<Json>,"dedupe_key": string,"delivered_at": string | null,"id": string,"last_error": string | null,"order_id": string,"provider_id": string | null,"recipient": string | null,"sent_at": string | null,"status": string,"template": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"data"?: NonNullable<Json>,"dedupe_key"?: string,"delivered_at"?: string | null,"id"?: string,"last_error"?: string | null,"order_id": string,"provider_id"?: string | null,"recipient"?: string | null,"sent_at"?: string | null,"status"?: string,"template": string
                  }
                  Update: {
                    "created_at"?: string,"data"?: NonNullable<Json>,"dedupe_key"?: string,"delivered_at"?: string | null,"id"?: string,"last_error"?: string | null,"order_id"?: string,"provider_id"?: string | null,"recipient"?: string | null,"sent_at"?: string | null,"status"?: string,"template"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "notifications_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"order_events": {
                  Row: {
                    "created_at": string,"data": NonNullable<Json>,"id": number,"kind": string,"order_id": string,"source": string
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"data"?: NonNullable<Json>,"id"?: never,"kind": string,"order_id": string,"source": string
                  }
                  Update: {
                    "created_at"?: string,"data"?: NonNullable<Json>,"id"?: never,"kind"?: string,"order_id"?: string,"source"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "order_events_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"order_items": {
                  Row: {
                    "id": string,"name": string,"order_id": string,"quantity": number,"sku": string,"tax_code": string | null,"unit_amount": number,"variant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "id"?: string,"name": string,"order_id": string,"quantity": number,"sku": string,"tax_code"?: string | null,"unit_amount": number,"variant_id": string
                  }
                  Update: {
                    "id"?: string,"name"?: string,"order_id"?: string,"quantity"?: number,"sku"?: string,"tax_code"?: string | null,"unit_amount"?: number,"variant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "order_items_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "order_items_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "availability"
      referencedColumns: ["variant_id"]
    },{
      foreignKeyName: "order_items_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "product_variants"
      referencedColumns: ["id"]
    }
                  ]
                },"order_risk": {
                  Row: {
                    "declined_attempts": number,"order_id": string,"outage_attempts": number,"review_reasons": (string)[],"review_released_at": string | null,"three_d_secure": string | null,"velocity_mode": string,"velocity_rule_set": number | null
                  }
                  ComputedFields: never
                  Insert: {
                    "declined_attempts"?: number,"order_id": string,"outage_attempts"?: number,"review_reasons"?: (string)[],"review_released_at"?: string | null,"three_d_secure"?: string | null,"velocity_mode"?: string,"velocity_rule_set"?: number | null
                  }
                  Update: {
                    "declined_attempts"?: number,"order_id"?: string,"outage_attempts"?: number,"review_reasons"?: (string)[],"review_released_at"?: string | null,"three_d_secure"?: string | null,"velocity_mode"?: string,"velocity_rule_set"?: number | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "order_risk_order_id_fkey"
      columns: ["order_id"]
isOneToOne: true
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"order_terms": {
                  Row: {
                    "attempt": number,"order_id": string,"version": string
                  }
                  ComputedFields: never
                  Insert: {
                    "attempt": number,"order_id": string,"version": string
                  }
                  Update: {
                    "attempt"?: number,"order_id"?: string,"version"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "order_terms_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"orders": {
                  Row: {
                    "abandoned_at": string | null,"accepts_marketing": boolean | null,"account_id": string | null,"amount_discount": number,"amount_paid": number,"amount_refunded": number,"amount_shipping": number,"amount_subtotal": number,"amount_tax": number,"amount_total": number,"asked_country": string | null,"asked_currency": string | null,"attempt": number,"billing_address": Json | null,"cancelled_at": string | null,"cart_hash": string,"created_at": string,"currency": string,"customer_id": string | null,"customer_name": string | null,"decided_payment_id": string | null,"email": string | null,"erased_at": string | null,"fulfilled_at": string | null,"fulfillment_status": string,"id": string,"idempotency_key": string | null,"livemode": boolean,"locale": string | null,"mail_to_account": boolean,"number": string,"oversold_at": string | null,"paid_at": string | null,"payment_id": string | null,"phone": string | null,"prices_include_tax": boolean,"purchase_ip": unknown,"restocked_at": string | null,"session_expires_at": string,"session_id": string | null,"shipping_address": Json | null,"shipping_name": string | null,"shipping_rates": NonNullable<Json>,"status": string,"ui_mode": string,"updated_at": string,"user_agent": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "abandoned_at"?: string | null,"accepts_marketing"?: boolean | null,"account_id"?: string | null,"amount_discount"?: number,"amount_paid"?: number,"amount_refunded"?: number,"amount_shipping"?: number,"amount_subtotal": number,"amount_tax"?: number,"amount_total": number,"asked_country"?: string | null,"asked_currency"?: string | null,"attempt"?: number,"billing_address"?: Json | null,"cancelled_at"?: string | null,"cart_hash": string,"created_at"?: string,"currency": string,"customer_id"?: string | null,"customer_name"?: string | null,"decided_payment_id"?: string | null,"email"?: string | null,"erased_at"?: string | null,"fulfilled_at"?: string | null,"fulfillment_status"?: string,"id"?: string,"idempotency_key"?: string | null,"livemode": boolean,"locale"?: string | null,"mail_to_account"?: boolean,"number"?: string,"oversold_at"?: string | null,"paid_at"?: string | null,"payment_id"?: string | null,"phone"?: string | null,"prices_include_tax"?: boolean,"purchase_ip"?: unknown,"restocked_at"?: string | null,"session_expires_at": string,"session_id"?: string | null,"shipping_address"?: Json | null,"shipping_name"?: string | null,"shipping_rates"?: NonNullable<Json>,"status"?: string,"ui_mode"?: string,"updated_at"?: string,"user_agent"?: string | null
                  }
                  Update: {
                    "abandoned_at"?: string | null,"accepts_marketing"?: boolean | null,"account_id"?: string | null,"amount_discount"?: number,"amount_paid"?: number,"amount_refunded"?: number,"amount_shipping"?: number,"amount_subtotal"?: number,"amount_tax"?: number,"amount_total"?: number,"asked_country"?: string | null,"asked_currency"?: string | null,"attempt"?: number,"billing_address"?: Json | null,"cancelled_at"?: string | null,"cart_hash"?: string,"created_at"?: string,"currency"?: string,"customer_id"?: string | null,"customer_name"?: string | null,"decided_payment_id"?: string | null,"email"?: string | null,"erased_at"?: string | null,"fulfilled_at"?: string | null,"fulfillment_status"?: string,"id"?: string,"idempotency_key"?: string | null,"livemode"?: boolean,"locale"?: string | null,"mail_to_account"?: boolean,"number"?: string,"oversold_at"?: string | null,"paid_at"?: string | null,"payment_id"?: string | null,"phone"?: string | null,"prices_include_tax"?: boolean,"purchase_ip"?: unknown,"restocked_at"?: string | null,"session_expires_at"?: string,"session_id"?: string | null,"shipping_address"?: Json | null,"shipping_name"?: string | null,"shipping_rates"?: NonNullable<Json>,"status"?: string,"ui_mode"?: string,"updated_at"?: string,"user_agent"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "orders_customer_id_fkey"
      columns: ["customer_id"]
isOneToOne: false
      referencedRelation: "customers"
      referencedColumns: ["id"]
    }
                  ]
                },"payment_attempts": {
                  Row: {
                    "advice_code": string | null,"amount": number | null,"card_brand": string | null,"card_country": string | null,"card_fingerprint": string | null,"card_funding": string | null,"card_last4": string | null,"created_at": string,"currency": string | null,"decline_code": string | null,"failure_code": string | null,"id": string,"livemode": boolean,"order_id": string | null,"outcome": string,"payment_id": string,"payment_method_type": string | null,"presentment_amount": number | null,"presentment_currency": string | null,"receipt_url": string | null,"risk_level": string | null,"risk_score": number | null,"seller_message": string | null,"three_d_secure_result": string | null,"version": string
                  }
                  ComputedFields: never
                  Insert: {
                    "advice_code"?: string | null,"amount"?: number | null,"card_brand"?: string | null,"card_country"?: string | null,"card_fingerprint"?: string | null,"card_funding"?: string | null,"card_last4"?: string | null,"created_at": string,"currency"?: string | null,"decline_code"?: string | null,"failure_code"?: string | null,"id": string,"livemode": boolean,"order_id"?: string | null,"outcome": string,"payment_id": string,"payment_method_type"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"receipt_url"?: string | null,"risk_level"?: string | null,"risk_score"?: number | null,"seller_message"?: string | null,"three_d_secure_result"?: string | null,"version": string
                  }
                  Update: {
                    "advice_code"?: string | null,"amount"?: number | null,"card_brand"?: string | null,"card_country"?: string | null,"card_fingerprint"?: string | null,"card_funding"?: string | null,"card_last4"?: string | null,"created_at"?: string,"currency"?: string | null,"decline_code"?: string | null,"failure_code"?: string | null,"id"?: string,"livemode"?: boolean,"order_id"?: string | null,"outcome"?: string,"payment_id"?: string,"payment_method_type"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"receipt_url"?: string | null,"risk_level"?: string | null,"risk_score"?: number | null,"seller_message"?: string | null,"three_d_secure_result"?: string | null,"version"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "payment_attempts_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"payments": {
                  Row: {
                    "amount": number,"amount_received": number,"card_brand": string | null,"card_country": string | null,"card_last4": string | null,"charge_id": string | null,"created_at": string,"currency": string,"decline_code": string | null,"failure_code": string | null,"id": string,"livemode": boolean,"metadata_order_id": string | null,"order_id": string | null,"payment_method_type": string | null,"presentment_amount": number | null,"presentment_currency": string | null,"risk_level": string | null,"risk_score": number | null,"status": string,"stripe_customer_id": string | null,"succeeded_at": string | null,"three_d_secure_result": string | null,"version": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount": number,"amount_received"?: number,"card_brand"?: string | null,"card_country"?: string | null,"card_last4"?: string | null,"charge_id"?: string | null,"created_at"?: string,"currency": string,"decline_code"?: string | null,"failure_code"?: string | null,"id": string,"livemode": boolean,"metadata_order_id"?: string | null,"order_id"?: string | null,"payment_method_type"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"risk_level"?: string | null,"risk_score"?: number | null,"status": string,"stripe_customer_id"?: string | null,"succeeded_at"?: string | null,"three_d_secure_result"?: string | null,"version": string
                  }
                  Update: {
                    "amount"?: number,"amount_received"?: number,"card_brand"?: string | null,"card_country"?: string | null,"card_last4"?: string | null,"charge_id"?: string | null,"created_at"?: string,"currency"?: string,"decline_code"?: string | null,"failure_code"?: string | null,"id"?: string,"livemode"?: boolean,"metadata_order_id"?: string | null,"order_id"?: string | null,"payment_method_type"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"risk_level"?: string | null,"risk_score"?: number | null,"status"?: string,"stripe_customer_id"?: string | null,"succeeded_at"?: string | null,"three_d_secure_result"?: string | null,"version"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "payments_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"product_variants": {
                  Row: {
                    "active": boolean,"color": string | null,"created_at": string,"currency": string,"id": string,"image_url": string | null,"price_amount": number,"product_id": string,"size": string | null,"sku": string,"stripe_price_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "active"?: boolean,"color"?: string | null,"created_at"?: string,"currency"?: string,"id"?: string,"image_url"?: string | null,"price_amount": number,"product_id": string,"size"?: string | null,"sku": string,"stripe_price_id"?: string | null
                  }
                  Update: {
                    "active"?: boolean,"color"?: string | null,"created_at"?: string,"currency"?: string,"id"?: string,"image_url"?: string | null,"price_amount"?: number,"product_id"?: string,"size"?: string | null,"sku"?: string,"stripe_price_id"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "product_variants_product_id_fkey"
      columns: ["product_id"]
isOneToOne: false
      referencedRelation: "products"
      referencedColumns: ["id"]
    }
                  ]
                },"products": {
                  Row: {
                    "active": boolean,"created_at": string,"description": string | null,"id": string,"image_url": string | null,"name": string,"slug": string,"tax_code": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "active"?: boolean,"created_at"?: string,"description"?: string | null,"id"?: string,"image_url"?: string | null,"name": string,"slug": string,"tax_code"?: string | null
                  }
                  Update: {
                    "active"?: boolean,"created_at"?: string,"description"?: string | null,"id"?: string,"image_url"?: string | null,"name"?: string,"slug"?: string,"tax_code"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"reconciliation_drift": {
                  Row: {
                    "after": Json | null,"before": Json | null,"found_at": string,"id": number,"kind": string,"object_id": string,"order_id": string | null,"run_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "after"?: Json | null,"before"?: Json | null,"found_at"?: string,"id"?: never,"kind": string,"object_id": string,"order_id"?: string | null,"run_id": string
                  }
                  Update: {
                    "after"?: Json | null,"before"?: Json | null,"found_at"?: string,"id"?: never,"kind"?: string,"object_id"?: string,"order_id"?: string | null,"run_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "reconciliation_drift_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"refund_lines": {
                  Row: {
                    "id": string,"order_item_id": string,"quantity": number,"refund_id": string | null,"request_id": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "id"?: string,"order_item_id": string,"quantity": number,"refund_id"?: string | null,"request_id"?: string | null
                  }
                  Update: {
                    "id"?: string,"order_item_id"?: string,"quantity"?: number,"refund_id"?: string | null,"request_id"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "refund_lines_order_item_id_fkey"
      columns: ["order_item_id"]
isOneToOne: false
      referencedRelation: "order_items"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "refund_lines_refund_id_fkey"
      columns: ["refund_id"]
isOneToOne: false
      referencedRelation: "refunds"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "refund_lines_request_id_fkey"
      columns: ["request_id"]
isOneToOne: false
      referencedRelation: "refund_requests"
      referencedColumns: ["id"]
    }
                  ]
                },"refund_reasons": {
                  Row: {
                    "reason": string | null,"refund_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "reason"?: string | null,"refund_id": string
                  }
                  Update: {
                    "reason"?: string | null,"refund_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "refund_reasons_refund_id_fkey"
      columns: ["refund_id"]
isOneToOne: true
      referencedRelation: "refunds"
      referencedColumns: ["id"]
    }
                  ]
                },"refund_requests": {
                  Row: {
                    "amount": number | null,"cause": string,"created_at": string,"given_up_at": string | null,"id": string,"order_id": string,"payment_id": string,"problem": string | null,"refusals": number,"restock": boolean,"status": string
                  }
                  ComputedFields: never
                  Insert: {
                    "amount"?: number | null,"cause": string,"created_at"?: string,"given_up_at"?: string | null,"id": string,"order_id": string,"payment_id": string,"problem"?: string | null,"refusals"?: number,"restock"?: boolean,"status"?: string
                  }
                  Update: {
                    "amount"?: number | null,"cause"?: string,"created_at"?: string,"given_up_at"?: string | null,"id"?: string,"order_id"?: string,"payment_id"?: string,"problem"?: string | null,"refusals"?: number,"restock"?: boolean,"status"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "refund_requests_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"refunds": {
                  Row: {
                    "amount": number,"charge_id": string | null,"created_at": string,"currency": string,"failed_at": string | null,"failure_reason": string | null,"id": string,"order_id": string | null,"payment_id": string | null,"presentment_amount": number | null,"presentment_currency": string | null,"reason": string | null,"released_at": string | null,"request_id": string | null,"seen_at": string,"status": string,"succeeded_at": string | null,"version": string,"was_pending": boolean
                  }
                  ComputedFields: never
                  Insert: {
                    "amount": number,"charge_id"?: string | null,"created_at": string,"currency": string,"failed_at"?: string | null,"failure_reason"?: string | null,"id": string,"order_id"?: string | null,"payment_id"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"reason"?: string | null,"released_at"?: string | null,"request_id"?: string | null,"seen_at"?: string,"status": string,"succeeded_at"?: string | null,"version": string,"was_pending"?: boolean
                  }
                  Update: {
                    "amount"?: number,"charge_id"?: string | null,"created_at"?: string,"currency"?: string,"failed_at"?: string | null,"failure_reason"?: string | null,"id"?: string,"order_id"?: string | null,"payment_id"?: string | null,"presentment_amount"?: number | null,"presentment_currency"?: string | null,"reason"?: string | null,"released_at"?: string | null,"request_id"?: string | null,"seen_at"?: string,"status"?: string,"succeeded_at"?: string | null,"version"?: string,"was_pending"?: boolean
                  }
                  Relationships: [
                    {
      foreignKeyName: "refunds_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"return_lines": {
                  Row: {
                    "exchanged_for": string | null,"id": string,"order_item_id": string,"quantity": number,"restock": boolean,"return_id": string,"unsent": number
                  }
                  ComputedFields: never
                  Insert: {
                    "exchanged_for"?: string | null,"id"?: string,"order_item_id": string,"quantity": number,"restock": boolean,"return_id": string,"unsent"?: number
                  }
                  Update: {
                    "exchanged_for"?: string | null,"id"?: string,"order_item_id"?: string,"quantity"?: number,"restock"?: boolean,"return_id"?: string,"unsent"?: number
                  }
                  Relationships: [
                    {
      foreignKeyName: "return_lines_exchanged_for_fkey"
      columns: ["exchanged_for"]
isOneToOne: false
      referencedRelation: "order_items"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "return_lines_order_item_id_fkey"
      columns: ["order_item_id"]
isOneToOne: false
      referencedRelation: "order_items"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "return_lines_return_id_fkey"
      columns: ["return_id"]
isOneToOne: false
      referencedRelation: "returns"
      referencedColumns: ["id"]
    }
                  ]
                },"returns": {
                  Row: {
                    "created_at": string,"id": string,"order_id": string,"reason": string | null,"received_at": string | null,"refund_request_id": string | null,"status": string,"stocked_at": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "created_at"?: string,"id"?: string,"order_id": string,"reason"?: string | null,"received_at"?: string | null,"refund_request_id"?: string | null,"status"?: string,"stocked_at"?: string | null
                  }
                  Update: {
                    "created_at"?: string,"id"?: string,"order_id"?: string,"reason"?: string | null,"received_at"?: string | null,"refund_request_id"?: string | null,"status"?: string,"stocked_at"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "returns_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"shipment_lines": {
                  Row: {
                    "order_item_id": string,"quantity": number,"shipment_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "order_item_id": string,"quantity": number,"shipment_id": string
                  }
                  Update: {
                    "order_item_id"?: string,"quantity"?: number,"shipment_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "shipment_lines_order_item_id_fkey"
      columns: ["order_item_id"]
isOneToOne: false
      referencedRelation: "order_items"
      referencedColumns: ["id"]
    },{
      foreignKeyName: "shipment_lines_shipment_id_fkey"
      columns: ["shipment_id"]
isOneToOne: false
      referencedRelation: "shipments"
      referencedColumns: ["id"]
    }
                  ]
                },"shipments": {
                  Row: {
                    "carrier": string | null,"id": string,"order_id": string,"parcel": number,"shipped_at": string,"tracking_number": string | null,"tracking_url": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "carrier"?: string | null,"id"?: string,"order_id": string,"parcel": number,"shipped_at"?: string,"tracking_number"?: string | null,"tracking_url"?: string | null
                  }
                  Update: {
                    "carrier"?: string | null,"id"?: string,"order_id"?: string,"parcel"?: number,"shipped_at"?: string,"tracking_number"?: string | null,"tracking_url"?: string | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "shipments_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"shipping_rates": {
                  Row: {
                    "active": boolean,"amount": number,"countries": (string)[] | null,"created_at": string,"currency": string,"delivery_days_max": number | null,"delivery_days_min": number | null,"id": string,"name": string,"sort_order": number,"tax_code": string | null
                  }
                  ComputedFields: never
                  Insert: {
                    "active"?: boolean,"amount": number,"countries"?: (string)[] | null,"created_at"?: string,"currency": string,"delivery_days_max"?: number | null,"delivery_days_min"?: number | null,"id"?: string,"name": string,"sort_order"?: number,"tax_code"?: string | null
                  }
                  Update: {
                    "active"?: boolean,"amount"?: number,"countries"?: (string)[] | null,"created_at"?: string,"currency"?: string,"delivery_days_max"?: number | null,"delivery_days_min"?: number | null,"id"?: string,"name"?: string,"sort_order"?: number,"tax_code"?: string | null
                  }
                  Relationships: [
                    
                  ]
                },"staff_commands": {
                  Row: {
                    "actor": string,"args": NonNullable<Json>,"command": string,"created_at": string,"id": string,"number": number,"order_id": string | null,"result": Json | null
                  }
                  ComputedFields: never
                  Insert: {
                    "actor"?: string,"args"?: NonNullable<Json>,"command": string,"created_at"?: string,"id"?: string,"number"?: never,"order_id"?: string | null,"result"?: Json | null
                  }
                  Update: {
                    "actor"?: string,"args"?: NonNullable<Json>,"command"?: string,"created_at"?: string,"id"?: string,"number"?: never,"order_id"?: string | null,"result"?: Json | null
                  }
                  Relationships: [
                    {
      foreignKeyName: "staff_commands_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                },"stripe_webhook_ips": {
                  Row: {
                    "added_at": string,"address": unknown
                  }
                  ComputedFields: never
                  Insert: {
                    "added_at"?: string,"address": unknown
                  }
                  Update: {
                    "added_at"?: string,"address"?: unknown
                  }
                  Relationships: [
                    
                  ]
                },"variant_prices": {
                  Row: {
                    "currency": string,"price_amount": number,"variant_id": string
                  }
                  ComputedFields: never
                  Insert: {
                    "currency": string,"price_amount": number,"variant_id": string
                  }
                  Update: {
                    "currency"?: string,"price_amount"?: number,"variant_id"?: string
                  }
                  Relationships: [
                    {
      foreignKeyName: "variant_prices_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "availability"
      referencedColumns: ["variant_id"]
    },{
      foreignKeyName: "variant_prices_variant_id_fkey"
      columns: ["variant_id"]
isOneToOne: false
      referencedRelation: "product_variants"
      referencedColumns: ["id"]
    }
                  ]
                },"webhook_events": {
                  Row: {
                    "api_version": string | null,"attempts": number,"delivered_at": string | null,"delivery_count": number,"id": string,"ignored_reason": string | null,"last_error": string | null,"livemode": boolean,"next_attempt_at": string | null,"object_id": string | null,"payload": NonNullable<Json>,"processed_at": string | null,"received_at": string,"source_ip": unknown,"status": string,"stripe_created_at": string,"type": string
                  }
                  ComputedFields: never
                  Insert: {
                    "api_version"?: string | null,"attempts"?: number,"delivered_at"?: string | null,"delivery_count"?: number,"id": string,"ignored_reason"?: string | null,"last_error"?: string | null,"livemode": boolean,"next_attempt_at"?: string | null,"object_id"?: string | null,"payload": NonNullable<Json>,"processed_at"?: string | null,"received_at"?: string,"source_ip"?: unknown,"status": string,"stripe_created_at": string,"type": string
                  }
                  Update: {
                    "api_version"?: string | null,"attempts"?: number,"delivered_at"?: string | null,"delivery_count"?: number,"id"?: string,"ignored_reason"?: string | null,"last_error"?: string | null,"livemode"?: boolean,"next_attempt_at"?: string | null,"object_id"?: string | null,"payload"?: NonNullable<Json>,"processed_at"?: string | null,"received_at"?: string,"source_ip"?: unknown,"status"?: string,"stripe_created_at"?: string,"type"?: string
                  }
                  Relationships: [
                    
                  ]
                },"webhook_rejections": {
                  Row: {
                    "count": number,"first_at": string,"id": number,"last_at": string,"reason": string,"source_ip": unknown
                  }
                  ComputedFields: never
                  Insert: {
                    "count"?: number,"first_at"?: string,"id"?: never,"last_at"?: string,"reason": string,"source_ip"?: unknown
                  }
                  Update: {
                    "count"?: number,"first_at"?: string,"id"?: never,"last_at"?: string,"reason"?: string,"source_ip"?: unknown
                  }
                  Relationships: [
                    
                  ]
                }
          }
          Views: {
            "availability": {
                  Row: {
                    "available": number | null,"or_more": boolean | null,"product_id": string,"variant_id": string
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "product_variants_product_id_fkey"
      columns: ["product_id"]
isOneToOne: false
      referencedRelation: "products"
      referencedColumns: ["id"]
    }
                  ]
                },"order_consents": {
                  Row: {
                    "given_at": string | null,"order_id": string,"promotions_consent": string | null,"session_id": string,"terms_consent": string | null,"terms_version": string | null
                  }
                  ComputedFields: never
                  Relationships: [
                    {
      foreignKeyName: "checkout_sessions_order_id_fkey"
      columns: ["order_id"]
isOneToOne: false
      referencedRelation: "orders"
      referencedColumns: ["id"]
    }
                  ]
                }
          }
          Functions: {
            "abandon_checkout":
{ Args: { "p_attempt": number,"p_order_id": string,"p_refusal"?: Json }; Returns: boolean
                           },
"accept_dispute":
{ Args: { "p_command_id"?: string,"p_dispute_id": string,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"acknowledge_alert":
{ Args: { "p_alert_id": string,"p_command_id"?: string,"p_dry_run"?: boolean }; Returns: Json
                           },
"add_product":
{ Args: { "p_active"?: boolean,"p_command_id"?: string,"p_description"?: string,"p_dry_run"?: boolean,"p_image_url"?: string,"p_name": string,"p_slug": string }; Returns: Json
                           },
"add_variant":
{ Args: { "p_color"?: string,"p_command_id"?: string,"p_confirm"?: boolean,"p_currency": string,"p_dry_run"?: boolean,"p_on_hand"?: number,"p_price_amount": number,"p_product_slug": string,"p_size"?: string,"p_sku": string }; Returns: Json
                           },
"adjust_inventory":
{ Args: { "p_command_id"?: string,"p_delta": number,"p_dry_run"?: boolean,"p_reason": string,"p_sku": string }; Returns: Json
                           },
"advance_reconciliation_cursor":
{ Args: { "p_name": string,"p_position": string }; Returns: string
                           },
"announce_return":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_lines": Json,"p_order_number": string,"p_reason"?: string }; Returns: Json
                           },
"apply_stripe_facts":
{ Args: { "p_facts": Json,"p_observed_at": string,"p_source": string }; Returns: boolean
                           },
"assign_refund":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_lines": Json,"p_refund_id": string,"p_restock"?: boolean }; Returns: Json
                           },
"attach_checkout_session":
{ Args: { "p_attempt": number,"p_email_change"?: number,"p_fact": Json,"p_order_id": string }; Returns: undefined
                           },
"begin_checkout":
{ Args: { "p_accepts_marketing"?: boolean,"p_client_ip": string,"p_country"?: string,"p_currency"?: string,"p_email": string,"p_hold_seconds": number,"p_idempotency_key": string,"p_items": Json,"p_livemode": boolean,"p_locale": string,"p_previous_session_id"?: string,"p_session_seconds": number,"p_supersede"?: boolean,"p_ui_mode"?: string,"p_user_agent": string,"p_user_id": string,"p_velocity_mode"?: string }; Returns: Json
                           },
"begin_rescue":
{ Args: { "p_since": string,"p_stopped_at": string }; Returns: Database["public"]['CompositeTypes']["rescue_window"]
                          SetofOptions: {
        from: "*"
        to: "rescue_window"
        isOneToOne: true
        isSetofReturn: false
      } },
"cancel_order":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_order_number": string,"p_reason"?: string }; Returns: Json
                           },
"check_audit_chain":
{ Args: Record<PropertyKey, never>; Returns: {
              "detail": Json,"invariant": string
            }[]
                           },
"check_invariants":
{ Args: Record<PropertyKey, never>; Returns: {
              "detail": Json,"invariant": string
            }[]
                           },
"check_settled_orders":
{ Args: { "p_limit": number }; Returns: boolean
                           },
"claim_jobs":
{ Args: { "p_lease_seconds": number,"p_limit": number,"p_mails"?: number,"p_worker": string }; Returns: {
              "attempts": number,"created_at": string,"id": number,"kind": string,"lease_id": string,"max_attempts": number,"order_id": string,"payload": Json
            }[]
                           },
"close_return":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_note"?: string,"p_return_id": string }; Returns: Json
                           },
"correct_shipment":
{ Args: { "p_carrier"?: string,"p_command_id"?: string,"p_dry_run"?: boolean,"p_order_number": string,"p_parcel": number,"p_tracking_number"?: string }; Returns: Json
                           },
"count_inventory":
{ Args: { "p_command_id"?: string,"p_counts": Json,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"count_jobs":
{ Args: Record<PropertyKey, never>; Returns: number
                           },
"date_rescued":
{ Args: { "p_limit": number }; Returns: number
                           },
"decide_dispute":
{ Args: { "p_dispute_id": string,"p_obstacle"?: string,"p_round": string,"p_written"?: boolean }; Returns: Database["public"]['CompositeTypes']["dispute_action"]
                          SetofOptions: {
        from: "*"
        to: "dispute_action"
        isOneToOne: true
        isSetofReturn: false
      } },
"enqueue_periodic_jobs":
{ Args: { "p_settings"?: Json }; Returns: number
                           },
"erase_customer":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_email": string }; Returns: Json
                           },
"evaluate_alert_rules":
{ Args: { "p_livemode": boolean,"p_now"?: string }; Returns: number
                           },
"exchange_return":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_lines": Json,"p_order_number": string,"p_reason"?: string }; Returns: Json
                           },
"export_person":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_email": string }; Returns: Json
                           },
"find_open_checkout":
{ Args: { "p_livemode"?: boolean,"p_order_id": string }; Returns: Json
                           },
"finish_jobs":
{ Args: { "p_results": Json }; Returns: {
              "finished": boolean,"id": number,"status": string
            }[]
                           },
"finish_rescue":
{ Args: Record<PropertyKey, never>; Returns: Database["public"]['CompositeTypes']["rescue_end"]
                          SetofOptions: {
        from: "*"
        to: "rescue_end"
        isOneToOne: true
        isSetofReturn: false
      } },
"forget_checkout_session":
{ Args: { "p_session_id": string }; Returns: boolean
                           },
"forget_stripe_customer":
{ Args: { "p_order_id": string,"p_stripe_customer_id": string }; Returns: Json
                           },
"get_digest":
{ Args: { "p_day": string,"p_livemode": boolean }; Returns: Json
                           },
"get_dispute_evidence":
{ Args: { "p_dispute_id": string }; Returns: Json
                           },
"get_error_budgets":
{ Args: { "p_week": string }; Returns: Json
                           },
"get_fraud_values":
{ Args: { "p_livemode": boolean }; Returns: (Database["public"]['CompositeTypes']["fraud_value"])[]
                           },
"get_health":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"get_lost_checkouts":
{ Args: { "p_limit": number }; Returns: {
              "attempt": number,"ended_at": string,"order_id": string,"started_at": string
            }[]
                           },
"get_metrics":
{ Args: Record<PropertyKey, never>; Returns: Json
                           },
"get_notification":
{ Args: { "p_notification_id": string }; Returns: Json
                           },
"get_order_status":
{ Args: { "p_order_id"?: string,"p_session_id"?: string }; Returns: Json
                           },
"get_order_trace":
{ Args: { "p_order": string }; Returns: Database["public"]['CompositeTypes']["order_trace"]
                          SetofOptions: {
        from: "*"
        to: "order_trace"
        isOneToOne: true
        isSetofReturn: false
      } },
"get_reconciliation_cursor":
{ Args: { "p_name": string }; Returns: string
                           },
"get_rescue_window":
{ Args: { "p_since": string,"p_stopped_at": string }; Returns: Database["public"]['CompositeTypes']["rescue_window"]
                          SetofOptions: {
        from: "*"
        to: "rescue_window"
        isOneToOne: true
        isSetofReturn: false
      } },
"get_stripe_event":
{ Args: { "p_event_id": string }; Returns: {
              "api_version": string | null,
"attempts": number,
"delivered_at": string | null,
"delivery_count": number,
"id": string,
"ignored_reason": string | null,
"last_error": string | null,
"livemode": boolean,
"next_attempt_at": string | null,
"object_id": string | null,
"payload": NonNullable<Json>,
"processed_at": string | null,
"received_at": string,
"source_ip": unknown,
"status": string,
"stripe_created_at": string,
"type": string
            }[]
                          SetofOptions: {
        from: "*"
        to: "webhook_events"
        isOneToOne: false
        isSetofReturn: true
      } },
"get_webhook_allowlist":
{ Args: Record<PropertyKey, never>; Returns: Database["public"]['CompositeTypes']["webhook_allowlist"]
                          SetofOptions: {
        from: "*"
        to: "webhook_allowlist"
        isOneToOne: true
        isSetofReturn: false
      } },
"import_inventory":
{ Args: { "p_command_id"?: string,"p_csv": string,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"judge_refund":
{ Args: { "p_request_id": string }; Returns: Database["public"]['CompositeTypes']["refund_judgement"]
                          SetofOptions: {
        from: "*"
        to: "refund_judgement"
        isOneToOne: true
        isSetofReturn: false
      } },
"leave_dispute":
{ Args: { "p_command_id"?: string,"p_dispute_id": string,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"lift_mail_suppression":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_email": string,"p_reason"?: string }; Returns: Json
                           },
"list_differing_objects":
{ Args: { "p_objects": Json }; Returns: (string)[]
                           },
"list_missing_orders":
{ Args: { "p_order_ids": (string)[] }; Returns: (string)[]
                           },
"list_open_objects":
{ Args: { "p_limit": number,"p_livemode"?: boolean,"p_since": string }; Returns: (Database["public"]['CompositeTypes']["open_object"])[]
                           },
"list_passed_events":
{ Args: { "p_after": string,"p_limit": number }; Returns: (string)[]
                           },
"list_rescue_objects":
{ Args: Record<PropertyKey, never>; Returns: (Database["public"]['CompositeTypes']["open_object"])[]
                           },
"list_unknown_events":
{ Args: { "p_event_ids": (string)[] }; Returns: (string)[]
                           },
"mark_fulfilled":
{ Args: { "p_carrier"?: string,"p_command_id"?: string,"p_dry_run"?: boolean,"p_lines"?: Json,"p_order_number": string,"p_tracking_number"?: string }; Returns: Json
                           },
"purge_old_data":
{ Args: { "p_limit": number }; Returns: Database["public"]['CompositeTypes']["purge_report"]
                          SetofOptions: {
        from: "*"
        to: "purge_report"
        isOneToOne: true
        isSetofReturn: false
      } },
"receive_return":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_lines"?: Json,"p_note"?: string,"p_order_number": string }; Returns: Json
                           },
"receive_stripe_event":
{ Args: { "p_alerts": Json,"p_api_version": string,"p_error": string,"p_event_id": string,"p_facts": Json,"p_ignored_reason": string,"p_livemode": boolean,"p_payload": Json,"p_source_ip": string,"p_stripe_created_at": string,"p_type": string }; Returns: Database["public"]['CompositeTypes']["event_outcome"]
                          SetofOptions: {
        from: "*"
        to: "event_outcome"
        isOneToOne: true
        isSetofReturn: false
      } },
"receive_stripe_events":
{ Args: { "p_events": Json }; Returns: Database["public"]['CompositeTypes']["event_outcome"][]
                          SetofOptions: {
        from: "*"
        to: "event_outcome"
        isOneToOne: false
        isSetofReturn: true
      } },
"reconcile_stripe_event":
{ Args: { "p_dry_run": boolean,"p_error": string,"p_event": Json,"p_facts": Json,"p_ignored_reason": string,"p_run_id": string }; Returns: Database["public"]['CompositeTypes']["repair"]
                          SetofOptions: {
        from: "*"
        to: "repair"
        isOneToOne: true
        isSetofReturn: false
      } },
"reconcile_stripe_object":
{ Args: { "p_dry_run": boolean,"p_facts": Json,"p_kind": string,"p_object_id": string,"p_observed_at": string,"p_run_id": string }; Returns: Database["public"]['CompositeTypes']["repair"]
                          SetofOptions: {
        from: "*"
        to: "repair"
        isOneToOne: true
        isSetofReturn: false
      } },
"record_alert_message":
{ Args: { "p_alert_ids": (string)[],"p_over": boolean }; Returns: undefined
                           },
"record_mail_event":
{ Args: { "p_at": string,"p_detail": string,"p_notification_id": string,"p_permanent": boolean,"p_provider_id": string,"p_recipient": string,"p_status": string }; Returns: Database["public"]['CompositeTypes']["mail_event_outcome"]
                          SetofOptions: {
        from: "*"
        to: "mail_event_outcome"
        isOneToOne: true
        isSetofReturn: false
      } },
"record_metrics":
{ Args: { "p_samples": Json }; Returns: number
                           },
"record_notification_result":
{ Args: { "p_error": string,"p_notification_id": string,"p_provider_id": string,"p_recipient": string,"p_status": string }; Returns: boolean
                           },
"record_webhook_endpoint":
{ Args: { "p_differences": (string)[],"p_endpoint_id": string,"p_livemode": boolean,"p_state": string }; Returns: undefined
                           },
"record_webhook_rejection":
{ Args: { "p_count"?: number,"p_reason": string,"p_source_ip": string }; Returns: undefined
                           },
"redrive":
{ Args: { "p_actor": string,"p_after"?: string,"p_again"?: boolean,"p_all": boolean,"p_dry_run": boolean,"p_event_ids": (string)[],"p_job_ids": (number)[],"p_limit"?: number,"p_type": string }; Returns: (Database["public"]['CompositeTypes']["redriven_item"])[]
                           },
"redrive_job":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_job_id": number }; Returns: Json
                           },
"redrive_webhook_event":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_event_id": string }; Returns: Json
                           },
"release_review":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_note"?: string,"p_order_number": string }; Returns: Json
                           },
"remind_dispute":
{ Args: { "p_days": number,"p_dispute_id": string }; Returns: Database["public"]['CompositeTypes']["dispute_reminder"]
                          SetofOptions: {
        from: "*"
        to: "dispute_reminder"
        isOneToOne: true
        isSetofReturn: false
      } },
"replace_webhook_addresses":
{ Args: { "p_addresses": (string)[] }; Returns: Database["public"]['CompositeTypes']["webhook_address_change"]
                          SetofOptions: {
        from: "*"
        to: "webhook_address_change"
        isOneToOne: true
        isSetofReturn: false
      } },
"request_refund":
{ Args: { "p_amount"?: number,"p_command_id"?: string,"p_confirm"?: boolean,"p_dry_run"?: boolean,"p_lines"?: Json,"p_order_number": string,"p_reason"?: string,"p_restock"?: boolean,"p_shipping"?: boolean }; Returns: Json
                           },
"rescue_facts":
{ Args: { "p_dated_at": string,"p_facts": Json,"p_observed_at": string }; Returns: number
                           },
"rescue_order":
{ Args: { "p_fact": Json,"p_order": Json }; Returns: Database["public"]['CompositeTypes']["rescued_order"]
                          SetofOptions: {
        from: "*"
        to: "rescued_order"
        isOneToOne: true
        isSetofReturn: false
      } },
"rescue_refund":
{ Args: { "p_refund": Json }; Returns: boolean
                           },
"rescue_stripe_event":
{ Args: { "p_error": string,"p_event": Json,"p_facts": Json,"p_ignored_reason": string }; Returns: Database["public"]['CompositeTypes']["event_outcome"]
                          SetofOptions: {
        from: "*"
        to: "event_outcome"
        isOneToOne: true
        isSetofReturn: false
      } },
"resend_notification":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_order_number": string,"p_template": string }; Returns: Json
                           },
"resolve_alert":
{ Args: { "p_alert_id": string,"p_command_id"?: string,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"restart_checkout_attempt":
{ Args: { "p_attempt": number,"p_hold_seconds": number,"p_order_id": string,"p_session_seconds": number }; Returns: Json
                           },
"resume_checkout":
{ Args: { "p_client_ip"?: string,"p_hold_seconds": number,"p_livemode"?: boolean,"p_order_id": string,"p_session_seconds": number,"p_supersede"?: boolean,"p_velocity_mode"?: string }; Returns: Json
                           },
"retry_stripe_event":
{ Args: { "p_error": string,"p_event_id": string,"p_facts": Json,"p_ignored_reason": string }; Returns: Database["public"]['CompositeTypes']["event_outcome"]
                          SetofOptions: {
        from: "*"
        to: "event_outcome"
        isOneToOne: true
        isSetofReturn: false
      } },
"set_alert_rule":
{ Args: { "p_command_id"?: string,"p_dry_run"?: boolean,"p_enabled"?: boolean,"p_kind": string,"p_minimum"?: number,"p_quiet_hours"?: string,"p_severity"?: string,"p_threshold"?: number,"p_window_seconds"?: number }; Returns: Json
                           },
"set_price":
{ Args: { "p_command_id"?: string,"p_confirm"?: boolean,"p_currency"?: string,"p_dry_run"?: boolean,"p_price_amount": number,"p_sku": string }; Returns: Json
                           },
"submit_dispute_evidence":
{ Args: { "p_acknowledge_fee"?: boolean,"p_command_id"?: string,"p_dispute_id": string,"p_dry_run"?: boolean,"p_note"?: string }; Returns: Json
                           },
"take_alert_message":
{ Args: { "p_alert_id": string }; Returns: Json
                           },
"take_rate_limits":
{ Args: { "p_buckets": Json }; Returns: Database["public"]['CompositeTypes']["limit_decision"]
                          SetofOptions: {
        from: "*"
        to: "limit_decision"
        isOneToOne: true
        isSetofReturn: false
      } },
"unsubscribe_reminders":
{ Args: { "p_email_hmac": string }; Returns: undefined
                           }
          }
          Enums: {
            [_ in never]: never
          }
          CompositeTypes: {
            "dispute_action": {
                        "action": string | null,"run_at": string | null
                      },"dispute_reminder": {
                        "outcome": string | null,"run_at": string | null
                      },"event_outcome": {
                        "outcome": string | null,"reason": string | null,"delivery_count": number | null,"order_ids": (string)[] | null,"closing_sessions": (string)[] | null
                      },"fraud_value": {
                        "item_type": string | null,"value": string | null
                      },"limit_decision": {
                        "allowed": boolean | null,"key": string | null,"retry_after_seconds": number | null
                      },"mail_event_outcome": {
                        "outcome": string | null,"order_id": string | null
                      },"open_object": {
                        "kind": string | null,"id": string | null
                      },"order_trace": {
                        "order_id": string | null,"number": string | null,"status": string | null,"fulfillment_status": string | null,"amount_total": number | null,"currency": string | null,"livemode": boolean | null,"created_at": string | null,"moments": (Database["public"]['CompositeTypes']["trace_moment"])[] | null
                      },"purge_report": {
                        "purged": Json | null,"more": boolean | null
                      },"redriven_item": {
                        "what": string | null,"id": string | null,"type": string | null,"status": string | null,"error": string | null,"redriven": boolean | null,"problem": string | null
                      },"refund_judgement": {
                        "outcome": string | null,"by": string | null,"refusals": number | null,"restock": boolean | null,"lines": Json | null
                      },"repair": {
                        "outcome": string | null,"changed": boolean | null,"before": Json | null,"after": Json | null
                      },"rescue_end": {
                        "stock_added": (string)[] | null,"paid_orders": (string)[] | null
                      },"rescue_window": {
                        "since": string | null,"stopped_at": string | null,"under_way": boolean | null,"shop_id": string | null
                      },"rescued_order": {
                        "outcome": string | null,"number": string | null
                      },"trace_moment": {
                        "at": string | null,"kind": string | null,"what": string | null,"detail": Json | null
                      },"webhook_address_change": {
                        "added": (string)[] | null,"removed": (string)[] | null
                      },"webhook_allowlist": {
                        "addresses": (string)[] | null,"refreshed_at": string | null
                      }
          }
        }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
  ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    }
    ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    }
    ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never = never
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
  ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    }
    ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never = never
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
  ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never = never
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
  ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  "public": {
          Enums: {
            
          }
        }
} as const
