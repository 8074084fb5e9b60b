"""Makes a Llama of six layers with random weights, and a tokenizer of nonsense, as vLLM loads them: model.py FOLDER"""

import random
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 7
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEMPLATE = (
    "{% for message in messages %}<s>{{ message.role }}: {{ message.content }}</s>{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    dice = random.Random(SEED)
    words = ["".join(dice.choices(LETTERS, k=dice.randint(1, 7))) for _ in range(400)]
    texts = [" ".join(dice.choices(words, k=60)) for _ in range(300)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Bytes of which no character may come are in it too: as with real models, text is held back then.
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"]
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = TEMPLATE
    return fast


def make_model(tokens: int) -> LlamaForCausalLM:
    torch.manual_seed(SEED)
    # Heads of 64 are the smallest that vLLM's attention takes on every processor. With fewer layers the engine runs away
    # from its own API process on two cores, and what callers are told lags behind by a thousand tokens.
    config = LlamaConfig(
        vocab_size=tokens,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        head_dim=64,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.15,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16)


tokenizer = make_tokenizer()
tokenizer.save_pretrained(sys.argv[1])
make_model(len(tokenizer)).save_pretrained(sys.argv[1])
