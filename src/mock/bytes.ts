/** The bytes that vLLM's own response classes write, of 0.29 where no other release is named, as literals: what the mock is measured against. */
export const bytes = {
  chatRole:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}\n\n',
  chatToken:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n',
  chatTokenContinuous:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null,"token_ids":null}],"usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1,"completion_tokens_details":null}}\n\n',
  chatFinishWithUsage:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}]}\n\n',
  chatFinish:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null}],"system_fingerprint":"vllm-0.29.0-1a2b3c4d"}\n\n',
  chatUsage:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12},"system_fingerprint":"vllm-0.29.0-1a2b3c4d"}\n\n',
  chatUsageDetails:
    'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}},"system_fingerprint":"vllm-0.29.0-1a2b3c4d"}\n\n',
  done: 'data: [DONE]\n\n',
  completionToken:
    'data: {"id":"cmpl-0123456789abcdef0123456789abcdef","object":"text_completion","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"text":" hello","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}\n\n',
  completionUsage:
    'data: {"id":"cmpl-0123456789abcdef0123456789abcdef","object":"text_completion","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":9,"total_tokens":21,"completion_tokens":12},"system_fingerprint":"vllm-0.29.0-1a2b3c4d"}\n\n',
  chatBody:
    '{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion","created":1792000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"message":{"role":"assistant","content":"Hi.","refusal":null,"annotations":null,"audio":null,"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":"stop","stop_reason":null,"token_ids":null,"routed_experts":null}],"service_tier":null,"system_fingerprint":"vllm-0.29.0-1a2b3c4d","usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":null,"completion_tokens_details":null},"prompt_logprobs":null,"prompt_token_ids":null,"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}',
  unknownModel:
    '{"error":{"message":"The model `nope` does not exist.","type":"NotFoundError","param":"model","code":404}}',
  contextTooLong:
    '{"error":{"message":"This model\'s maximum context length is 8192 tokens. ...","type":"BadRequestError","param":"input_tokens","code":400}}',
  unknownRoute: '{"error":{"message":"Not Found","type":"Not Found","param":null,"code":404}}',
  wrongMethod:
    '{"error":{"message":"Method Not Allowed","type":"Method Not Allowed","param":null,"code":405}}',
  unauthorized: '{"error":"Unauthorized"}',
  streamError:
    'data: {"error": {"message": "Internal server error", "type": "InternalServerError", "param": null, "code": 500}}\n\n',
  // Of 0.32, with a dead engine: chat and completions, then messages.
  deadEngine:
    'data: {"error": {"message": "EngineCore encountered an issue. See stack trace (above) for the root cause.", "type": "InternalServerError", "param": null, "code": 500}}\n\n',
  deadEngineMessage:
    'event: error\ndata: {"type":"error","error":{"type":"internal_error","message":"2 validation errors for ChatCompletionStreamResponse\\nmodel\\n  Field required"}}\n\n',
  models:
    '{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","created":1795468007,"owned_by":"vllm","root":"Qwen/Qwen3-8B","parent":null,"max_model_len":40960,"permission":[{"id":"modelperm-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","object":"model_permission","created":1795468007,"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}]}]}',
}
