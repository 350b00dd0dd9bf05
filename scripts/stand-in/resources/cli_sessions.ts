import { invalidRequest, unsupported } from "../core/errors.ts";
import { list, paramsOf, text } from "../core/fields.ts";
import { type Route, route } from "../core/router.ts";

interface CliSessionParams {
  device_name: string;
  filters: string;
  forward_connect_to_url: string;
  forward_thin_connect_to_url: string;
  forward_thin_to_url: string;
  forward_to_url: string;
  websocket_features: string[];
}

/** `/v1/stripecli/sessions`: not in the published API; what `stripe listen` asks for before it connects. */
export function cliSessionRoutes(open: (baseUrl: string) => object): Route[] {
  return [
    route(
      "POST",
      "/v1/stripecli/sessions",
      paramsOf<CliSessionParams>()({ websocket_features: list(text()) }, {
        inert: [
          "device_name",
          "filters",
          "forward_connect_to_url",
          "forward_thin_connect_to_url",
          "forward_thin_to_url",
          "forward_to_url",
        ],
      }),
      (context, { websocket_features: features = [] }) => {
        const foreign = features.find((feature) => feature !== "webhooks");
        if (foreign === "request_logs") throw unsupported("`stripe logs tail`: see GET /_control/requests");
        if (foreign !== undefined) throw unsupported(`the websocket feature \`${foreign}\``);
        if (features.length === 0) {
          throw invalidRequest(
            "Missing required param: websocket_features.",
            "websocket_features",
            "parameter_missing",
          );
        }
        return open(context.baseUrl);
      },
    ),
  ];
}
