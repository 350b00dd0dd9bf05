/** Payment methods that Stripe has and the stand-in has not; parameters named after them are refused by name. */
export const FOREIGN_METHODS: readonly string[] =
  "acss_debit,affirm,afterpay_clearpay,alipay,alma,amazon_pay,au_becs_debit,bacs_debit,bancontact,billie,bizum,blik,boleto,card_present,cashapp,crypto,custom,customer_balance,demo_pay,eps,fpx,giropay,grabpay,ideal,interac_present,kakao_pay,klarna,konbini,kr_card,link,mb_way,mobilepay,multibanco,naver_pay,nz_bank_account,oxxo,p24,pay_by_bank,payco,paynow,paypal,payto,pix,promptpay,revolut_pay,samsung_pay,satispay,scalapay,sofort,sunbit,swish,twint,upi,wechat_pay,zip"
    .split(",");

/** The bank debits that can be paid with, but have no options of their own here. */
export const BANK_METHODS: readonly string[] = ["sepa_debit", "us_bank_account"];

/** Every type of payment method that Stripe has. */
export const METHOD_TYPES: readonly string[] = ["card", ...BANK_METHODS, ...FOREIGN_METHODS];
