import { OTHER_METHODS } from "./other_methods.ts";

/** Payment methods that Stripe has and the stand-in has not; parameters named after them are refused by name. */
export const FOREIGN_METHODS: readonly string[] =
  "acss_debit,affirm,afterpay_clearpay,alipay,alma,amazon_pay,au_becs_debit,bacs_debit,billie,bizum,blik,boleto,card_present,cashapp,crypto,custom,customer_balance,demo_pay,eps,fpx,giropay,grabpay,interac_present,kakao_pay,konbini,kr_card,mb_way,mobilepay,multibanco,naver_pay,nz_bank_account,oxxo,p24,pay_by_bank,payco,paynow,paypay,payto,pix,promptpay,revolut_pay,samsung_pay,satispay,scalapay,sequra,sofort,sunbit,swish,twint,upi,wechat_pay,zip"
    .split(",");

/** Methods that can be paid with, but have no options of their own here. */
export const PLAIN_METHODS: readonly string[] = [...OTHER_METHODS, "sepa_debit", "us_bank_account"];

/** Types that a PaymentIntent may be allowed, and that have no place elsewhere. */
const RARE_METHODS: readonly string[] =
  "boku_promptpay,capchase_pay,check_scan,click_to_pay,duitnow,dummy_auth_push,dummy_passthrough_card,edenred,gcash,getbalance,gift_card,gopay,id_bank_transfer,knet,kr_market,kriya,momo,mondu,netbanking,ng_bank,ng_bank_transfer,ng_card,ng_market,ng_ussd,ng_wallet,octopus,paper_check,qris,rechnung,shop_pay,shopeepay,south_korea_market,stripe_balance,tamara,test_pay,touch_n_go,truemoney,us_cash_voucher,vipps,wero"
    .split(",");

/** Every type of payment method that Stripe has. */
export const METHOD_TYPES: readonly string[] = ["card", ...PLAIN_METHODS, ...FOREIGN_METHODS];

/** Every type that a PaymentIntent may be allowed. */
export const ALLOWED_TYPES: readonly string[] = [...METHOD_TYPES, ...RARE_METHODS];
