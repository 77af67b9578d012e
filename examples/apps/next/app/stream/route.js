export const dynamic = "force-dynamic";

export function GET() {
  const lines = new ReadableStream({
    async start(controller) {
      for (let line = 0; line < 10; line++) {
        controller.enqueue(new TextEncoder().encode(`line ${line}\n`));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      controller.close();
    },
  });
  return new Response(lines);
}
