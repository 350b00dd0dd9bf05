/** All words of all mails, in German. */
import type { Texts } from "./en.ts";

export const de: Texts = {
  advice: {
    check_details: "Bitte prüfen Sie Nummer, Ablaufdatum, Prüfziffer und Rechnungsadresse.",
    confirm_with_bank:
      "Ihre Bank möchte, dass Sie die Zahlung bestätigen. Bitte versuchen Sie es noch einmal und folgen Sie ihren Anweisungen.",
    try_again: "Das kann bald vorbei sein. Bitte versuchen Sie es in einigen Minuten noch einmal.",
    other_card: "Bitte nehmen Sie eine andere Karte oder eine andere Zahlungsart.",
    ask_bank: "Bitte fragen Sie Ihre Bank oder nehmen Sie eine andere Karte.",
    declined: "Ihre Karte wurde abgelehnt. Bitte nehmen Sie eine andere Zahlungsart.",
  },
  greeting: (name) => `Guten Tag ${name}!`,
  greetingWithoutName: "Guten Tag!",
  signature: (shop) => `Ihr Team von ${shop}`,
  questions: "Fragen? Schreiben Sie uns:",
  returns: "Rückgabe",
  privacy: "Datenschutz",
  unsubscribe: "Keine Erinnerungen mehr",
  order: "Bestellung",
  orderDate: "Datum",
  viewOrder: "Bestellung ansehen",
  visitShop: "Zum Shop",
  payNow: "Jetzt bezahlen",
  trackParcel: "Sendung verfolgen",
  refundFor: "Erstattung für",
  tracking: "Sendungsnummer",
  payment: "Zahlung",
  chargedAs: "Belastet in Ihrer Währung",
  onStatement: "Auf Ihrem Kontoauszug",
  shippingMethod: "Versandart",
  company: "Firma",
  taxId: "Steuernummer",
  card: (brand, last4) => `${brand} mit den Endziffern ${last4}`,
  shipTo: "Lieferadresse",
  billTo: "Rechnungsadresse",
  quantity: (count, price) => `${count} × ${price}`,
  subtotal: "Zwischensumme",
  discount: "Rabatt",
  shipping: "Versand",
  tax: "Steuer",
  other: "Sonstiges",
  total: "Gesamt",
  tax_included: "Enthaltene Steuer",

  order_confirmation: {
    subject: (order) => `Ihre Bestellung ${order}`,
    heading: "Vielen Dank für Ihre Bestellung",
    received: (order) => `Vielen Dank für Ihre Bestellung ${order}. Ihre Zahlung ist eingegangen.`,
    free: (order) => `Vielen Dank für Ihre Bestellung ${order}. Zu bezahlen ist nichts.`,
    next: "Wir schreiben Ihnen wieder, wenn Ihr Paket unterwegs ist.",
  },
  payment_declined: {
    subject: (order) => `Ihre Zahlung für die Bestellung ${order} wurde abgelehnt`,
    heading: "Ihre Zahlung wurde abgelehnt",
    told: (order) =>
      `Ihre Zahlung für die Bestellung ${order} kam nicht zustande. Es wurde nichts abgebucht.`,
    reserved: "Ihre Bestellung besteht noch: Sie können sie abschließen, solange alles vorrätig ist.",
  },
  payment_processing: {
    subject: (order) => `Ihre Zahlung für die Bestellung ${order} ist unterwegs`,
    heading: "Ihre Zahlung wird bearbeitet",
    told: (order) =>
      `Vielen Dank für Ihre Bestellung ${order}. Ihre Zahlung ist noch nicht eingegangen: Bei der gewählten Zahlungsart kann das einige Tage dauern.`,
    next: "Sie müssen nichts tun. Wir schreiben Ihnen, sobald sie da ist.",
  },
  payment_failed: {
    subject: (order) => `Ihre Zahlung für die Bestellung ${order} kam nicht zustande`,
    heading: "Ihre Zahlung kam nicht zustande",
    told: (order) =>
      `Ihre Zahlung für die Bestellung ${order} kam nicht zustande. Es wurde nichts abgebucht, und es wird nichts verschickt.`,
    again: "Sie können mit einer anderen Zahlungsart bezahlen, solange alles vorrätig ist.",
    anew: "Gern können Sie mit einer anderen Zahlungsart noch einmal bestellen.",
  },
  payment_reminder: {
    subject: (order) => `Ihre Bestellung ${order} wartet auf Sie`,
    heading: "Sie haben etwas liegen lassen",
    told: (order) =>
      `Ihre Bestellung ${order} ist noch nicht bezahlt. Sie können sie abschließen, solange alles vorrätig ist.`,
  },
  refund_issued: {
    subject: (order) => `Erstattung für Ihre Bestellung ${order}`,
    heading: "Ihre Erstattung ist unterwegs",
    whole: (amount, order) =>
      `Wir haben Ihnen für die Bestellung ${order} alles erstattet, was Sie bezahlt haben: ${amount}.`,
    part: (amount, paid, order) =>
      `Wir haben Ihnen ${amount} der ${paid} erstattet, die Sie für die Bestellung ${order} bezahlt haben.`,
    where: "Das Geld geht an die Zahlungsart zurück, mit der Sie bezahlt haben.",
    whereCard: (card) => `Das Geld geht zurück an Ihre Karte: ${card}.`,
    when: "Banken zeigen es meist nach 5 bis 10 Tagen an.",
    headingDetails: "Für Ihre Erstattung fehlt Ihr Bankkonto",
    detailsNeeded:
      "Über Ihre Zahlungsart kann das Geld nicht zurückgehen. Stripe wickelt unsere Zahlungen ab und hat Ihnen geschrieben, um zu fragen, auf welches Bankkonto es gehen soll. Bitte antworten Sie auf diese Nachricht; sonst fragt Sie niemand danach.",
  },
  refund_settled: {
    subject: (order) => `Ihre Erstattung für die Bestellung ${order} ist abgeschlossen`,
    heading: "Ihre Erstattung ist abgeschlossen",
    told: (amount, order) =>
      `Ihre Bank hat den Betrag von ${amount}, den wir Ihnen für die Bestellung ${order} erstattet haben.`,
    when: "Bis der Betrag auf Ihrem Kontoauszug steht, können einige Tage vergehen.",
  },
  refund_failed: {
    subject: (order) => `Die Erstattung für Ihre Bestellung ${order} kam nicht zustande`,
    heading: "Ihre Erstattung kam nicht zustande",
    told: (amount, order) =>
      `Die Erstattung von ${amount} für Ihre Bestellung ${order} kam nicht zustande: Das Geld haben Sie nicht bekommen.`,
    toldWithoutAmount: (order) =>
      `Die Erstattung für Ihre Bestellung ${order} kam nicht zustande: Das Geld haben Sie nicht bekommen.`,
    next: "Sie müssen nichts tun: Wir gehen der Sache nach und schreiben Ihnen wieder.",
  },
  duplicate_payment_refunded: {
    subject: (order) => `Ihre zweite Zahlung für die Bestellung ${order}`,
    heading: "Sie haben zweimal bezahlt",
    told: (order) => `Ihre Bestellung ${order} wurde zweimal bezahlt.`,
    once: "Wir behalten eine Zahlung, und Sie bekommen die Ware einmal.",
    refund:
      "Die zweite Zahlung geht an die Zahlungsart zurück, die Sie dafür benutzt haben. Banken zeigen sie meist nach 5 bis 10 Tagen an.",
  },
  order_unfulfillable: {
    subject: (order) => `Wir können Ihre Bestellung ${order} nicht ausführen`,
    heading: "Es tut uns leid",
    paid: (order) =>
      `Es tut uns leid: Als Ihre Zahlung für die Bestellung ${order} eintraf, war das letzte Stück verkauft.`,
    free: (order) => `Es tut uns leid: Als Ihre Bestellung ${order} eintraf, war das letzte Stück verkauft.`,
    refund: "Sie müssen nichts tun: Wir schreiben Ihnen, sobald Ihre Erstattung unterwegs ist.",
    instead: "Vielleicht gefällt Ihnen etwas anderes.",
  },
  order_cancelled: {
    subject: (order) => `Ihre Bestellung ${order} wurde storniert`,
    heading: "Ihre Bestellung wurde storniert",
    told: (order) => `Ihre Bestellung ${order} wurde storniert, und es wird nichts verschickt.`,
    money: "Über das Geld schreiben wir Ihnen gesondert.",
  },
  order_shipped: {
    subject: (order) => `Ihre Bestellung ${order} ist unterwegs`,
    heading: "Ihr Paket ist unterwegs",
    told: (order) => `Ihre Bestellung ${order} ist unterwegs.`,
    partSubject: (order) => `Ein Teil Ihrer Bestellung ${order} ist unterwegs`,
    part: (order) =>
      `Ein Teil Ihrer Bestellung ${order} ist unterwegs. Der Rest folgt; wir schreiben Ihnen, sobald er verschickt ist.`,
    restSubject: (order) => `Der Rest Ihrer Bestellung ${order} ist unterwegs`,
    rest: (order) => `Der Rest Ihrer Bestellung ${order} ist unterwegs.`,
    contents: "In diesem Paket",
    correctedSubject: (order) => `Berichtigte Sendungsnummer Ihrer Bestellung ${order}`,
    correctedHeading: "Eine neue Sendungsnummer",
    corrected: (order) =>
      `Die Sendungsnummer, die wir Ihnen für die Bestellung ${order} geschickt haben, war falsch. Dies ist die richtige:`,
  },

  digest: {
    subject: (shop, day) => `${shop}: ${day}`,
    told: "Der Tag, und was auf Sie wartet.",
    sales: "Bezahlte Bestellungen",
    refunds: "Erstattet",
    toShip: "Zu verschicken",
    attention: "Bestellungen, die jemand ansehen muss",
    disputes: "Anfechtungen mit Frist",
    alerts: "Offene Meldungen",
    mailsFailed: "Nicht angekommene E-Mails",
  },
  budgetReport: {
    subject: (shop, day) => `${shop}: Was der Shop hält, Woche ab ${day}`,
    heading: (day) => `Woche ab ${day}`,
    kept: "Alle Ziele sind innerhalb dessen, was in vier Wochen misslingen darf.",
    overdrawn: "In vier Wochen misslang mehr, als darf: siehe die Ziele über 100 %.",
    figures: (share, target, bad, used) =>
      `${share} gut (Ziel ${target}), ${bad} schlecht; ${used} dessen verbraucht, was in vier Wochen misslingen darf`,
    objectives: {
      checkout: "Bestellvorgänge beantwortet",
      webhook: "Zahlungen binnen 10 Sekunden verbucht",
      mail: "E-Mails binnen 5 Minuten verschickt",
      page: "Bestellseiten beantwortet",
      stock: "Bezahlte Ware vorrätig",
    },
  },
  alert: {
    seen: (kind, severity, since, count) =>
      `${kind} (${severity}), zuerst ${since}${count > 1 ? `, bisher ${count}-mal` : ""}.`,
    over: (kind, many, since, until) =>
      `${kind} ist vorbei${many > 1 ? ` (${many} Meldungen)` : ""}: zuerst ${since}, zuletzt ${until}.`,
    overTag: "vorbei",
    more: (count) => `und ${count} weitere`,
    openInStripe: "In Stripe öffnen",
    openOrder: "Bestellung öffnen",
    openRunbook: "Was zu tun ist",
    kinds: {
      dispute_opened:
        "Eine Zahlung wird angefochten. Prüfen Sie die Belege und reichen Sie sie rechtzeitig ein.",
      dispute_escalated: "Eine Anfechtung wartet wieder auf eine Antwort.",
      dispute_due: "Die Frist einer Anfechtung läuft bald ab, und eingereicht ist nichts.",
      dispute_closed: "Eine Anfechtung ist abgeschlossen.",
      payment_mismatch: "Bezahlt wurde etwas anderes als bestellt. Die Bestellung wartet auf eine Prüfung.",
      review: "Eine Zahlung wartet auf eine Prüfung, bevor etwas verschickt wird.",
      early_fraud_warning: "Die Bank der Karte warnt vor Betrug.",
      oversold: "Eine Bestellung wurde bezahlt, als die Ware fort war. Das Geld geht zurück.",
      refund_failed: "Eine Erstattung hat den Kunden nicht erreicht.",
      refund_refused: "Stripe lehnt eine Erstattung ab.",
      duplicate_payment: "Eine Bestellung wurde zweimal bezahlt. Die zweite Zahlung geht zurück.",
      audit_trail_broken: "Das Protokoll wurde an den Regeln der Datenbank vorbei geändert.",
      invariant_violated: "Etwas, das für Bestellungen, Geld oder Lager immer gelten muss, gilt nicht.",
      cancelled_order_paid: "Eine stornierte Bestellung wurde bezahlt. Das Geld geht zurück.",
    },
  },
};
