-- Which disputes wait for an answer, and until when?
select id, order_number, reason, amount_text, evidence_due_by, time_left, has_evidence, fulfillment_status
from reporting.disputes_due;
