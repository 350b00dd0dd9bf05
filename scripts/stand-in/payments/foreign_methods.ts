import { OTHER_METHODS } from "./other_methods.ts";

/** Payment methods that Stripe has and the stand-in has not; parameters named after them are refused by name. */
export const FOREIGN_METHODS: readonly string[] =
  "acss_debit,affirm,afterpay_clearpay,alipay,alma,amazon_pay,au_becs_debit,bacs_debit,billie,bizum,blik,boleto,card_present,cashapp,crypto,custom,customer_balance,demo_pay,eps,fpx,giropay,grabpay,interac_present,kakao_pay,konbini,kr_card,mb_way,mobilepay,multibanco,naver_pay,nz_bank_account,oxxo,p24,pay_by_bank,payco,paynow,payto,pix,promptpay,revolut_pay,samsung_pay,satispay,scalapay,sofort,sunbit,swish,twint,upi,wechat_pay,zip"
    .split(",");

/** Methods that can be paid with, but have no options of their own here. */
export const PLAIN_METHODS: readonly string[] = [...OTHER_METHODS, "sepa_debit", "us_bank_account"];

/** Every type of payment method that Stripe has. */
export const METHOD_TYPES: readonly string[] = ["card", ...PLAIN_METHODS, ...FOREIGN_METHODS];
