/** Setup and doctor judge the endpoint as the running shop does. */
export * from "../../supabase/functions/_shared/webhook_endpoints.ts";
