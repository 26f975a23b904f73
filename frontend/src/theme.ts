/** Dark or light: as the system has it, until somebody presses the switch. */

export function theme(changed: () => void): void {
  const button = document.querySelector<HTMLButtonElement>("#theme")!;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset["theme"] ?? (system.matches ? "dark" : "light")) === "dark";
  const say = () => { button.setAttribute("aria-pressed", String(dark())); changed(); };
  button.addEventListener("click", () => { document.documentElement.dataset["theme"] = dark() ? "light" : "dark"; say(); });
  system.addEventListener("change", say);
  say();
}
