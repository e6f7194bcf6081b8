"""LoRA beside full fine-tuning: trained on real data, and planned for Llama-2-7B."""
